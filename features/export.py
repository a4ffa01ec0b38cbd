"""A training set as one Parquet file."""

from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from covla.errors import Refused
from covla.settings import Settings
from covla.time_range import TimeRange, parse_time
from features.lake import write_parquet
from features.training_set import training_set


def export(
    window: TimeRange, settings: Settings, out: str | Path, as_of: str | None = None
) -> dict[str, Any]:
    """Write `training_set` to `out`, hashtag priors as JSON text.

    Raises:
        CovlaError: `as_of` is no time with a zone, or none that can be.
        ServiceUnavailable: `out` cannot be written.
        Refused: the window holds no post.
    """
    moment = None
    if as_of is not None:
        moment = parse_time("as-of", as_of)
    frame = training_set(window, settings, moment)
    if frame.empty:
        raise Refused(f"no post in the window {window}", hint="Ingest posts first")
    options = orjson.OPT_SORT_KEYS | orjson.OPT_SERIALIZE_NUMPY
    frame["hashtag_priors"] = [
        orjson.dumps(value, option=options).decode() for value in frame["hashtag_priors"]
    ]
    write_parquet(pa.Table.from_pandas(frame, preserve_index=False), Path(out))
    return {
        "window": str(window),
        "rows": len(frame),
        "labelled": int(frame["label"].notna().sum()),
        "passed_over": frame.attrs["passed_over"],
        "out": str(out),
    }
