"""Where a model comes from: a file of its folder, and the data set of its run in MLflow."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson

from covla.files import read_dataclass
from covla.posts.training_post import TrainingPost

FILE = "lineage.json"
_LIMIT = 60_000  # characters of a data set's source; MLflow takes 65,535


@dataclass(frozen=True)
class LakeFile:
    """A file of the lake as it was: its path below the lake, and its SHA-256."""

    path: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """What a model was trained on, and by what.

    source: "lake" or "posts folder". name: of the folder; of a time range, itself. intervals: the
    time ranges, START/END, none of a folder. as_of: when the lake was read, where that was given.
    digest: of the posts with their labels and split (16 hex digits). files: of the lake, those
    with a row of these posts. teacher: its id. left_out: posts that the source has and training
    had not, by reason.
    """

    source: str
    name: str
    digest: str
    posts: int
    labelled: int
    holdout: int
    teacher: str
    code_version: str
    intervals: list[str] = field(default_factory=list)
    as_of: str | None = None
    split: str | None = None
    files: list[LakeFile] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)


def counts_of(posts: Iterable[TrainingPost]) -> dict[str, Any]:
    """The fields of a `Lineage` that the posts themselves give."""
    rows = sorted(posts, key=lambda row: row.post_id)
    total = hashlib.sha256()
    for row in rows:
        total.update(row.post.to_json())
        total.update(f"\0{row.label}\0{row.split}\n".encode())
    return {
        "digest": total.hexdigest()[:16],
        "posts": len(rows),
        "labelled": sum(row.label is not None for row in rows),
        "holdout": sum(row.split == "holdout" for row in rows),
    }


def write_lineage(folder: Path, lineage: Lineage) -> None:
    """Into a model folder, before its manifest."""
    (folder / FILE).write_bytes(orjson.dumps(asdict(lineage), option=orjson.OPT_INDENT_2))


def read_lineage(folder: Path) -> Lineage | None:
    """What `write_lineage` has written; None for a folder that has none.

    Raises:
        CovlaError: the file is there and is another thing.
    """
    path = folder / FILE
    return read_dataclass(Lineage, path) if path.exists() else None


def data_set(lineage: Lineage) -> Any:
    """The `DatasetInput` that MLflow shows with a run."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    data = Dataset(
        name=lineage.name[:500],
        digest=lineage.digest,
        source_type="covla lake" if lineage.source == "lake" else "covla posts folder",
        source=orjson.dumps(_source(asdict(lineage))).decode(),
        profile=orjson.dumps({k: getattr(lineage, k) for k in ("posts", "labelled")}).decode(),
    )
    return DatasetInput(data, [InputTag("mlflow.data.context", "training")])


def _source(about: Mapping[str, Any]) -> dict[str, Any]:
    """Files with their hashes; where these are too many, their number and the hash of the list."""
    files = about["files"]
    kept = {name: about[name] for name in ("name", "intervals", "as_of", "split") if about[name]}
    listed = hashlib.sha256(orjson.dumps(files)).hexdigest()
    short = kept | {"files": len(files), "files_sha256": listed, "listed_in": FILE}
    whole = kept | {"files": files}
    return whole if len(orjson.dumps(whole)) <= _LIMIT else short
