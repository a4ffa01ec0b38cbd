"""Which posts train and which are the holdout: by content, so that no copy is on both sides."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from covla.posts.content_groups import contents_of, groups_of
from covla.posts.training_post import Split, TrainingPost
from covla.settings import Settings


def split_of(group: str, fraction: float = 0.2, purpose: str = "holdout") -> Split:
    """`holdout` for about `fraction` of all groups; a group is always on the same side.

    Args:
        group: its name.
        fraction: in 0..1.
        purpose: splits of another purpose are drawn anew.
    """
    draw = int.from_bytes(hashlib.sha256(f"{purpose}\0{group}".encode()).digest()[:8], "big")
    return "holdout" if draw < fraction * 2**64 else "train"


def grouped(posts: Sequence[TrainingPost], settings: Settings) -> list[TrainingPost]:
    """The same posts with their content and the group that it puts them in, among these posts.

    Raises:
        OSError: the image store cannot be read.
    """
    unknown = [row.post for row in posts if row.content is None]
    new = iter(contents_of(unknown, settings))
    contents = [next(new) if row.content is None else row.content for row in posts]
    return [
        replace(row, content=content, group=group)
        for row, content, group in zip(posts, contents, groups_of(contents), strict=True)
    ]


def hold_out(
    posts: Sequence[TrainingPost], fraction: float, purpose: str = "holdout"
) -> list[TrainingPost]:
    """`grouped` posts, about `fraction` of them in the holdout, whole groups at a time.

    A group that is larger than that always trains: else it would be the whole holdout.
    """
    sizes = Counter(row.group for row in posts)
    large = max(1, fraction * len(posts))

    def side(group: str) -> Split:
        return "train" if sizes[group] > large else split_of(group, fraction, purpose)

    return [replace(row, split=side(row.group)) for row in posts]


def without_copies(
    posts: Iterable[TrainingPost], holdout: Iterable[TrainingPost]
) -> list[TrainingPost]:
    """The `grouped` posts of `posts` that share their content with none of the holdout."""
    groups = {row.group for row in holdout}
    return [row for row in posts if row.group not in groups]


def repeats(posts: Sequence[TrainingPost]) -> dict[str, int]:
    """How many groups `posts` are in, and how many of them repeat another one."""
    groups = len({row.group or row.post_id for row in posts})
    return {"groups": groups, "repeats": len(posts) - groups}
