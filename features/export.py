"""A training set as one Parquet file."""

from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from covla.errors import CovlaError, Refused
from covla.settings import Settings
from covla.window import Window
from features.lake import write_parquet
from features.training_set import training_set


def export(
    window: Window, settings: Settings, out: str | Path, as_of: str | None = None
) -> dict[str, Any]:
    """Write `training_set` to `out`, hashtag priors as JSON text.

    Raises:
        CovlaError: `as_of` is no time with a zone, or `out` cannot be written.
        Refused: the window holds no post.
    """
    moment = None
    if as_of is not None:
        try:
            moment = datetime.fromisoformat(as_of)
        except ValueError:
            raise CovlaError(f"as-of: {as_of!r} is not an RFC 3339 time") from None
        if moment.tzinfo is None:
            raise CovlaError(f"as-of: {as_of!r} has no time zone", hint="Add Z for UTC")
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
        "out": str(out),
    }
