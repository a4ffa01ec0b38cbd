"""The posts of a study: which train, calibrate, are evaluated, and keep a label."""

import hashlib
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from covla.errors import CovlaError
from covla.posts.dataset import check_labels
from covla.posts.folder import Reading, read_folder
from covla.posts.splits import grouped, hold_out, repeats, without_copies
from covla.posts.taxonomy import Taxonomy
from covla.posts.training_post import TrainingPost
from covla.settings import Settings
from covla.training.dataset import PreparedDataset

TRAIN = "train"
CALIBRATE = 0.1  # of split train, where the folder has no other split to calibrate on
JUDGE = 0.2  # of a folder without splits


@dataclass
class StudyPosts:
    """`train` holds posts that learn, labelled or not, and those that calibrate (split `holdout`);
    `judged` are seen by nothing but the evaluation. `digest` is the identity of both, `counts` says
    how many groups by content and repeats there are, and what was left out."""

    train: list[TrainingPost]
    judged: list[TrainingPost]
    digest: str
    counts: dict[str, int] = field(default_factory=dict)


def read_posts(
    folder: Path, split: str, taxonomy: Taxonomy, settings: Settings, *, unlabelled: int | None
) -> StudyPosts:
    """Read a posts folder. Models learn from split train; temperatures are fitted on split val,
    or, when that is the judged one or not there, on a tenth of train by content. Posts that repeat
    the content of judged or calibrating ones are left out. Of a folder without any split a fifth is
    judged, by content.

    Args:
        split: the labelled posts to judge on; any but train.
        unlabelled: how many posts without a label to learn from besides (None: all), those with
            the smallest hash of their id, of split train or unlabelled.

    Raises:
        CovlaError: no labelled post in a split, a label outside the taxonomy, or one that only
            one of the two splits has.
    """
    if split == TRAIN:
        raise CovlaError("split: models learn from split train", hint="Judge on another split")
    reading = Reading()
    items = list(read_folder(folder, settings=settings, reading=reading))
    has_splits = any(item.split is not None for item in items)
    sorted_out: dict[str, list[TrainingPost]] = {TRAIN: [], split: [], "val": [], "others": []}
    for item in items:
        row = TrainingPost(item.post, item.label, pair_type=item.pair_type)
        if item.label is None:
            if not has_splits or item.split in {TRAIN, "unlabelled"}:
                sorted_out["others"].append(row)
        elif not has_splits:
            sorted_out[TRAIN].append(row)
        elif item.split in {TRAIN, split, "val"}:
            sorted_out[item.split].append(row)
    others = sorted_out["others"]
    others.sort(key=lambda row: hashlib.sha256(row.post_id.encode()).digest())
    sorted_out["others"] = others if unlabelled is None else others[:unlabelled]
    parts = _grouped(sorted_out, settings)
    if not has_splits:
        drawn = hold_out(parts[TRAIN], JUDGE, "judged")
        parts[TRAIN] = [row for row in drawn if row.split == TRAIN]
        parts[split] = [row for row in drawn if row.split != TRAIN]
    for name in (TRAIN, split):
        if not parts[name]:
            raise CovlaError(
                f"no labelled post of split {name!r} in {folder}",
                hint="See the `split` field of posts.jsonl",
            )
    judged = [replace(row, split="holdout") for row in parts[split]]
    every = sum(map(len, parts.values()))
    held = [] if split == "val" else without_copies(parts["val"], judged)
    held = [replace(row, split="holdout") for row in held]
    labelled = without_copies(parts[TRAIN], judged + held)
    if not held:
        labelled = hold_out(labelled, CALIBRATE)
        held = [row for row in labelled if row.split == "holdout"]
        labelled = [row for row in labelled if row.split == "train"]
    train = labelled + held + without_copies(parts["others"], judged + held)
    reading.copies = every - len(train) - len(judged)
    check_labels(train, taxonomy)
    check_labels([replace(row, split="train") for row in judged], taxonomy)
    learned = {row.label for row in labelled}
    there = {row.label for row in judged}
    for label in sorted(map(str, learned ^ there)):
        has, lacks = (TRAIN, split) if label in learned else (split, TRAIN)
        raise CovlaError(
            f"label {label!r} is in split {has!r} and not in split {lacks!r}",
            hint="Give every label posts in both, or take it out of posts.jsonl",
        )
    counts = repeats([*train, *judged]) | reading.as_dict()
    return StudyPosts(train, judged, _digest(train, judged), counts)


def _grouped(
    parts: dict[str, list[TrainingPost]], settings: Settings
) -> dict[str, list[TrainingPost]]:
    rows = iter(grouped([row for part in parts.values() for row in part], settings))
    return {name: [next(rows) for _ in part] for name, part in parts.items()}


def _digest(*parts: list[TrainingPost]) -> str:
    total = hashlib.sha256()
    for rows in parts:
        for row in rows:
            total.update(row.post.to_json())
            total.update(f"\0{row.label}\0{row.split}\n".encode())
        total.update(b"\n")
    return total.hexdigest()


def with_unlabelled(data: PreparedDataset, number: int | None) -> PreparedDataset:
    """`data` with the first `number` of the posts that came without a label, which are last, and
    their copies. None: all."""
    keep = int((data.labels >= 0).sum()) + (len(data.posts) if number is None else number)
    if keep >= len(data.posts):
        return data
    pairs = [(c, i) for c, i in zip(data.copies, data.origin, strict=True) if i < keep]
    return replace(
        data, posts=data.posts[:keep], prepared=data.prepared[:keep], labels=data.labels[:keep],
        copies=[copy for copy, _ in pairs], origin=[i for _, i in pairs],
    )  # fmt: skip


def with_share(data: PreparedDataset, share: float, seed: int) -> PreparedDataset:
    """`data` with `share` of the labels that train, at least one of each; the rest lose theirs.

    Drawn per label from `seed` and the group by content, so that copies keep or lose it together:
    what a small share keeps, a larger one keeps too.
    """
    if share >= 1:
        return data
    rows = [i for i in data.trains if data.labels[i] >= 0]
    names = [row.group or row.post_id for row in data.posts]
    rows.sort(key=lambda i: hashlib.sha256(f"{seed}\0{names[i]}".encode()).digest())
    seen: Counter[str] = Counter()
    total = Counter(str(data.posts[i].label) for i in rows)
    posts, labels = list(data.posts), data.labels.clone()
    for i in rows:
        label = str(posts[i].label)
        seen[label] += 1
        if seen[label] > max(1, round(share * total[label])):
            posts[i] = replace(posts[i], label=None)
            labels[i] = -1
    return replace(data, posts=posts, labels=labels)
