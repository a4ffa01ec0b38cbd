"""What validation leaves in the lake: posts put aside, and the verdict on the time range."""

from collections.abc import Mapping
from datetime import datetime

import pandas as pd
import pyarrow as pa

from covla.settings import Settings
from covla.time_range import TimeRange
from features.lake import Lake
from features.tables import QUARANTINE, VERDICTS


def put_aside(
    frame: pd.DataFrame, window: TimeRange, settings: Settings, as_of: datetime
) -> set[str]:
    """Ids of the posts that an earlier run put aside, as they are now.

    They do not block the time range again, and stay aside for as long as they are bad.
    """
    columns = ["post_id", "event_timestamp", "created_timestamp"]
    rows = Lake(settings).read("quarantine", window, columns).to_pylist()
    before = {
        (row["post_id"], row["event_timestamp"]) for row in rows if row["created_timestamp"] < as_of
    }
    keys = zip(frame["post_id"], frame["event_timestamp"], strict=True)
    return {post_id for post_id, at in keys if (post_id, at.to_pydatetime()) in before}


def quarantine(
    frame: pd.DataFrame,
    bad: Mapping[str, list[str]],
    window: TimeRange,
    settings: Settings,
    as_of: datetime,
) -> None:
    """The bad rows of this time range, in place of those of an earlier run.

    Args:
        frame: the posts.
        bad: post id -> why it is put aside.
        window: the time range.
        settings: whose lake.
        as_of: the rows' created_timestamp, so that a second run repeats them.
    """
    lake, name = Lake(settings), f"validate-{window.slug}"
    lake.discard("quarantine", window, name)
    if not bad:
        return
    chosen = frame[frame["post_id"].isin(bad.keys())]
    rows = [
        {
            "post_id": post_id,
            "event_timestamp": at.to_pydatetime(),
            "created_timestamp": as_of,
            "reasons": bad[post_id],
            "window": str(window),
        }
        for post_id, at in zip(chosen["post_id"], chosen["event_timestamp"], strict=True)
    ]
    lake.put("quarantine", pa.Table.from_pylist(rows, schema=QUARANTINE), name)


def verdict(failed: list[str], window: TimeRange, settings: Settings, as_of: datetime) -> None:
    """Whether training leaves out the time range; a second run as of a time repeats it."""
    row = {
        "event_timestamp": window.start,
        "created_timestamp": as_of,
        "end": window.end,
        "blocked": bool(failed),
        "reasons": failed,
    }
    name = f"{window.slug}-{as_of:%Y%m%dT%H%M%S%f}"
    Lake(settings).put("verdicts", pa.Table.from_pylist([row], schema=VERDICTS), name)
