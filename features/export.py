"""A training set as one Parquet file."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import orjson
import pyarrow as pa

from covla.errors import Refused
from covla.settings import Settings
from covla.time_range import TimeRange
from features.lake import write_parquet
from features.training_set import nothing_in, training_set


@dataclass(frozen=True)
class Exported:
    """What the file holds."""

    window: str
    rows: int
    labelled: int
    passed_over: dict[str, int]  # table of the lake -> rows whose time cannot be
    left_out: dict[str, int]  # posts: "quarantined", "blocked" or "expired"
    out: str


def export(
    window: TimeRange, settings: Settings, out: str | Path, as_of: datetime | None = None
) -> Exported:
    """Write `training_set` to `out`, hashtag priors as JSON text.

    Raises:
        ServiceUnavailable: `out` cannot be written.
        Refused: the time range has no post.
    """
    frame = training_set(window, settings, as_of)
    if frame.empty:
        raise Refused(nothing_in(window, frame), hint="Ingest posts first")
    options = orjson.OPT_SORT_KEYS | orjson.OPT_SERIALIZE_NUMPY
    frame["hashtag_priors"] = [
        orjson.dumps(value, option=options).decode() for value in frame["hashtag_priors"]
    ]
    write_parquet(pa.Table.from_pandas(frame, preserve_index=False), Path(out))
    labelled = int(frame["label"].notna().sum())
    odd, left_out = frame.attrs["passed_over"], frame.attrs["left_out"]
    return Exported(str(window), len(frame), labelled, odd, left_out, str(out))
