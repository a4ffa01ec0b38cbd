"""The posts of a study: which train, which calibrate, which are judged, and which keep a label."""

import hashlib
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from covla.errors import CovlaError
from covla.labels import Taxonomy
from covla.posts_folder import read_folder
from covla.settings import Settings
from covla.training.data import TrainingPost, check_labels, split_of
from covla.training.examples import Prepped

TRAIN = "train"
CALIBRATE = 0.1  # of split train, where the folder has no other split to calibrate on


@dataclass
class StudyPosts:
    """`train` holds posts that learn, labelled or not, and those that calibrate (split `holdout`);
    `judged` are seen by nothing but the evaluation. `digest` is the identity of both."""

    train: list[TrainingPost]
    judged: list[TrainingPost]
    digest: str


def read_posts(
    folder: Path, split: str, taxonomy: Taxonomy, settings: Settings, *, unlabelled: int | None
) -> StudyPosts:
    """Read a posts folder. Models learn from split train; temperatures are fitted on split val,
    or, when that is the judged one or not there, on a tenth of train by hash of the id.

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
    labelled, judged, held, others = [], [], [], []
    for item in read_folder(folder, settings=settings):
        row = TrainingPost(item.post, item.label, pair_type=item.pair_type)
        if item.label is None:
            if item.split in {TRAIN, "unlabelled"}:
                others.append(row)
        elif item.split == split:
            judged.append(replace(row, split="holdout"))
        elif item.split == TRAIN:
            labelled.append(row)
        elif item.split == "val":
            held.append(replace(row, split="holdout"))
    for name, rows in ((TRAIN, labelled), (split, judged)):
        if not rows:
            raise CovlaError(
                f"no labelled post of split {name!r} in {folder}",
                hint="See the `split` field of posts.jsonl",
            )
    if not held:
        labelled = [replace(row, split=split_of(row.post_id, CALIBRATE)) for row in labelled]
    others.sort(key=lambda row: hashlib.sha256(row.post_id.encode()).digest())
    train = labelled + held + (others if unlabelled is None else others[:unlabelled])
    check_labels(train, taxonomy)
    check_labels([replace(row, split="train") for row in judged], taxonomy)
    learned = {row.label for row in labelled if row.split == TRAIN}
    there = {row.label for row in judged}
    for label in sorted(map(str, learned ^ there)):
        has, lacks = (TRAIN, split) if label in learned else (split, TRAIN)
        raise CovlaError(
            f"label {label!r} is in split {has!r} and not in split {lacks!r}",
            hint="Give every label posts in both, or take it out of posts.jsonl",
        )
    return StudyPosts(train, judged, _digest(train, judged))


def _digest(*parts: list[TrainingPost]) -> str:
    total = hashlib.sha256()
    for rows in parts:
        for row in rows:
            total.update(row.post.to_json())
            total.update(f"\0{row.label}\0{row.split}\n".encode())
        total.update(b"\n")
    return total.hexdigest()


def with_unlabelled(data: Prepped, number: int | None) -> Prepped:
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


def with_share(data: Prepped, share: float, seed: int) -> Prepped:
    """`data` with `share` of the labels that train, at least one of each; the rest lose theirs.

    Drawn per label from `seed` and post id: what a small share keeps, a larger one keeps too.
    """
    if share >= 1:
        return data
    learns = data.learns.tolist()
    rows = [i for i, yes in enumerate(learns) if yes and data.labels[i] >= 0]
    rows.sort(key=lambda i: hashlib.sha256(f"{seed}\0{data.posts[i].post_id}".encode()).digest())
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
