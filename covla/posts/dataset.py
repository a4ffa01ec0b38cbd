"""Posts of a folder to train or to measure a model on."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from covla.errors import CovlaError, TooFew
from covla.posts.folder import Reading, read_folder
from covla.posts.splits import grouped, hold_out, without_copies
from covla.posts.splits import split_of as split_of  # noqa: PLC0414
from covla.posts.taxonomy import Taxonomy
from covla.posts.training_post import TrainingPost
from covla.settings import Settings

HOLDOUT = 0.1  # of a folder without a split "val"


def from_folder(
    folder: Path,
    split: str | None,
    settings: Settings,
    *,
    unlabelled: int | None = 0,
    reading: Reading | None = None,
) -> list[TrainingPost]:
    """Posts of a posts folder.

    The holdout is the folder's split "val" where it has one and `split` is another, else a tenth
    of the labelled posts by content. `split` None takes every post of the folder, and so does any
    `split` when no line has one. A post that repeats the content of a holdout post is left out.

    Args:
        folder: holds posts.jsonl.
        split: the labelled posts to train on.
        settings: limits of posts.
        unlabelled: how many posts without a label to add, those with the smallest hash of their
            id; None for all. They may be of any split but `split` "test".
        reading: takes the counts of lines and posts that were left out.

    Raises:
        CovlaError: a folder that cannot be used, or no labelled post in `split`.
    """
    reading = reading if reading is not None else Reading()
    items = list(read_folder(folder, settings=settings, reading=reading))
    if all(item.split is None for item in items):
        split = None
    labelled, validation, others = [], [], []
    for item in items:
        wanted = split is None or item.split == split
        if item.label is None and (wanted or item.split == "unlabelled"):
            others.append(TrainingPost(item.post, None))
        elif item.label is not None and wanted:
            labelled.append(TrainingPost(item.post, item.label, pair_type=item.pair_type))
        elif item.label is not None and item.split == "val":
            validation.append(TrainingPost(item.post, item.label, "holdout", item.pair_type))
    if not labelled:
        raise CovlaError(
            f"no labelled post of split {split!r} in {folder}",
            hint="Give a --split that has labels; see the `split` field of posts.jsonl",
        )
    rows = labelled + validation + sample(others, unlabelled)
    return _by_content(rows, len(labelled), len(validation), reading, settings)


def _by_content(
    rows: list[TrainingPost], labelled: int, validation: int, reading: Reading, settings: Settings
) -> list[TrainingPost]:
    """Labelled posts, those of split "val", and others, in this order, with a holdout that shares
    no content with what trains."""
    rows = grouped(rows, settings)
    train, holdout = rows[:labelled], rows[labelled : labelled + validation]
    others = rows[labelled + validation :]
    if not holdout:
        train = hold_out(train, HOLDOUT)
        holdout = [row for row in train if row.split == "holdout"]
        train = [row for row in train if row.split == "train"]
    unique = without_copies(train, holdout), without_copies(others, holdout)
    reading.copies += len(train) + len(others) - len(unique[0]) - len(unique[1])
    return unique[0] + holdout + unique[1]


def folder_split(
    folder: Path, split: str, settings: Settings, *, reading: Reading | None = None
) -> list[TrainingPost]:
    """Posts of one split of a posts folder as they are, labelled or not; none of them trains.

    Raises:
        CovlaError: a folder that cannot be used.
    """
    items = read_folder(folder, split=split, settings=settings, reading=reading)
    return [TrainingPost(item.post, item.label, "holdout", item.pair_type) for item in items]


def sample(posts: Sequence[TrainingPost], limit: int | None) -> list[TrainingPost]:
    """At most `limit` posts (None: all), always the same: those whose id has the smallest hash."""
    ranked = sorted(posts, key=lambda row: hashlib.sha256(row.post_id.encode()).digest())
    return ranked[:limit]


def check_labels(posts: list[TrainingPost], taxonomy: Taxonomy) -> None:
    """Check the labels before any long work.

    Raises:
        CovlaError: a label outside the taxonomy, nothing to train on, or one class only.
    """
    for row in posts:
        if row.label is not None:
            taxonomy.check(row.label, row.post_id)
    kinds = {row.label for row in posts if row.label is not None and row.split == "train"}
    if len(kinds) < 2:
        what = f"all labelled training posts are {kinds.pop()}" if kinds else "no labelled post"
        raise TooFew(f"{what}: a classifier needs at least two labels", hint="Add posts")
