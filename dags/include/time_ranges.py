"""What a run of a DAG works on: its time ranges, by its conf, its asset event or its interval."""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import Param
from airflow.sdk.exceptions import AirflowFailException


def request(context: Any) -> dict[str, Any]:
    """What this run is to work on: its own conf, else the newest asset event's, else its time.

    Keys: `window`, the posts that asked for it, by default those of the run's data interval, of
    the full hour before it where that is a point in time; `train_window`, by default the 30 days
    to its end; `gate_window`, whose held-out posts judge a challenger, by default the 7 days to
    its end (each START/END); `preset`; and what else the caller passed along.

    Raises:
        AirflowFailException: `window` is not START/END.
    """
    asked: dict[str, Any] = {}
    for events in (context.get("triggering_asset_events") or {}).values():
        for event in events:
            asked |= event.extra
    asked |= {key: value for key, value in context["params"].items() if value not in (None, "")}
    if "window" not in asked:
        start, end = context.get("data_interval_start"), context.get("data_interval_end")
        if start == end:
            # By the clock a run has a time and no interval, by hand or by an asset maybe neither.
            end = (end or datetime.now(UTC)).replace(minute=0, second=0, microsecond=0)
            start = end - timedelta(hours=1)
        asked["window"] = f"{start.isoformat()}/{end.isoformat()}"
    try:
        _, end = (datetime.fromisoformat(part) for part in asked["window"].split("/"))
        for name, days in (("train_window", 30), ("gate_window", 7)):
            asked.setdefault(name, f"{(end - timedelta(days=days)).isoformat()}/{end.isoformat()}")
    except (ValueError, OverflowError, AttributeError):
        raise AirflowFailException(f"window: {asked['window']!r} is not START/END") from None
    asked.setdefault("preset", "base")
    return asked


def time_range_params() -> dict[str, Param]:
    """What a person may give a run by hand; empty means the default of `request`."""
    described = {
        "window": "START/END; default: the hour before",
        "train_window": "START/END to train on; default: 30 days",
        "gate_window": "START/END that judges a challenger; default: 7 days",
        "preset": "base, tiny or a hub id",
    }
    return {
        name: Param(None, type=["null", "string"], description=text)
        for name, text in described.items()
    }
