"""What a model has trained on, by content: beside its weights, for whoever judges it later."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from covla.errors import CovlaError
from covla.posts.content_groups import LOOKS, Content, groups_of
from covla.posts.splits import grouped
from covla.posts.training_post import TrainingPost
from covla.settings import Settings

FILE = "contents.parquet"


def write_contents(folder: Path, posts: Iterable[TrainingPost]) -> None:
    """The content of `grouped` posts that trained: hashes, from which no text and no image can be
    made again."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    contents = [row.content for row in posts if row.content is not None]
    looks = [None if c.looks is None else c.looks.ravel().tolist() for c in contents]
    columns = {
        name: pa.array([getattr(c, name) for c in contents], pa.string())
        for name in ("whole", "text", "image")
    }
    columns["looks"] = pa.array(looks, pa.list_(pa.uint64()))
    pq.write_table(pa.table(columns), folder / FILE)


def read_contents(folder: Path) -> list[Content] | None:
    """What `write_contents` has written; None for a folder of a version that did not.

    Raises:
        CovlaError: the file is there and is another thing.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / FILE
    if not path.exists():
        return None
    try:
        rows = pq.read_table(path, columns=["whole", "text", "image", "looks"]).to_pylist()
        for row in rows:
            if row["looks"] is not None:
                row["looks"] = np.array(row["looks"], np.uint64).reshape(LOOKS, 2)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise CovlaError(f"cannot read {path}: {error}", hint="Train the model again") from error
    return [Content(**row) for row in rows]


def unseen(
    posts: Sequence[TrainingPost], folders: Sequence[Path], settings: Settings
) -> tuple[list[TrainingPost], int]:
    """The posts that share no content with what the models of `folders` trained on, and how many of
    these models have no list of that.

    Raises:
        CovlaError: a folder's list cannot be read.
        OSError: the image store cannot be read.
    """
    trained: list[Content] = []
    unlisted = 0
    for folder in folders:
        contents = read_contents(folder)
        unlisted += contents is None
        trained += contents or []
    if not trained:
        return list(posts), unlisted
    rows = grouped(posts, settings)
    groups = groups_of([*(row.content for row in rows if row.content is not None), *trained])
    seen = set(groups[len(rows) :])
    chosen = [row for row, group in zip(rows, groups, strict=False) if group not in seen]
    return chosen, unlisted
