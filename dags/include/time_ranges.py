"""What a run of a DAG works on: its time ranges, by its conf, its asset event or its interval."""

from datetime import datetime, timedelta
from typing import Any, TypedDict

from airflow.sdk import Param
from airflow.sdk.exceptions import AirflowFailException

from include.clock import LATENESS


class Request(TypedDict, total=False):
    """JSON that DAGs pass on. Time ranges are START/END; what else a caller gave stays in it."""

    window: str  # the posts that started it; default: the data interval, or the full hour before
    as_of: str  # when the lake is read; default: the lateness after the data interval
    train_window: str  # default: the 30 days to the end of `window`
    live_window: str  # predictions to measure; default: the 7 days to the end of `window`
    gate_window: str  # its held-out posts evaluate a challenger; default: the 7 days to the end
    preset: str
    teacher: str
    drift_modality: str
    alert_id: str  # of the drift alert that started it
    alert: str  # and what that says


def request(context: Any) -> Request:
    """What this run is to work on: its own conf, else the newest asset event's, else its time.

    A run that is cleared, backfilled or late works on the same posts as the run on time.

    Raises:
        AirflowFailException: `window` is not START/END.
    """
    requested: Request = {}
    for events in (context.get("triggering_asset_events") or {}).values():
        for event in events:
            # A watcher puts what it found in a field of its own.
            requested |= event.extra.get("payload", event.extra)
    requested |= {key: value for key, value in context["params"].items() if value not in (None, "")}
    if "window" not in requested:
        start, end = context.get("data_interval_start"), context.get("data_interval_end")
        if end is None or start == end:
            # By hand a run has no interval.
            end = context["dag_run"].run_after.replace(minute=0, second=0, microsecond=0)
            start = end - timedelta(hours=1)
        else:
            requested.setdefault("as_of", (end + timedelta(minutes=LATENESS)).isoformat())
        requested["window"] = f"{start.isoformat()}/{end.isoformat()}"
    try:
        _, end = (datetime.fromisoformat(part) for part in requested["window"].split("/"))
        for name, days in (("train_window", 30), ("gate_window", 7), ("live_window", 7)):
            requested.setdefault(
                name, f"{(end - timedelta(days=days)).isoformat()}/{end.isoformat()}"
            )
    except (ValueError, OverflowError, AttributeError):
        raise AirflowFailException(f"window: {requested['window']!r} is not START/END") from None
    return requested


def posts_of(requested: Request, window: str = "window") -> list[str]:
    """The options of a command that name the posts of a run."""
    options = ["--window", requested[window]]  # type: ignore[literal-required]
    return options + (["--as-of", requested["as_of"]] if "as_of" in requested else [])


def model_of(requested: Request) -> list[str]:
    """The options of a command that name encoders and teacher; without one its setting holds."""
    given = [(name, requested.get(name)) for name in ("preset", "teacher")]
    return [part for name, value in given if value for part in (f"--{name}", str(value))]


AS_OF = Param(
    None,
    type=["null", "string"],
    description="Read the lake as it was at this time; default: soon after the data interval",
)


def time_range_params() -> dict[str, Param]:
    """What a person may give a run by hand; empty means the default of `request`."""
    described = {
        "window": "START/END; default: the data interval, or the hour before",
        "train_window": "START/END to train on; default: 30 days",
        "gate_window": "START/END to evaluate a challenger on; default: 7 days",
        "live_window": "START/END of the predictions to measure; default: 7 days",
        "preset": "base, tiny or a hub id; default: COVLA_PRESET",
        "teacher": "ensemble, self, none, a hub id or a folder; default: COVLA_TEACHER",
    }
    return {"as_of": AS_OF} | {
        name: Param(None, type=["null", "string"], description=text)
        for name, text in described.items()
    }
