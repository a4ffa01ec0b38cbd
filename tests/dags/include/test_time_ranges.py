"""What a run works on, by what it was given."""

from datetime import UTC, datetime, timedelta

import pytest
from airflow.sdk.exceptions import AirflowFailException

from include.time_ranges import request


class Event:
    def __init__(self, extra: dict[str, str]) -> None:
        self.extra = extra


def test_a_run_works_on_its_conf_then_on_its_asset_then_on_its_interval() -> None:
    event = {
        "asset": [
            Event({"window": "a/b", "train_window": "c/d", "gate_window": "e/f", "preset": "tiny"})
        ]
    }
    week = "2026-05-01T00:00:00Z/2026-05-08T00:00:00Z"
    conf = {"params": {"window": week, "train_window": None, "preset": ""}}
    asked = request({"triggering_asset_events": event, **conf})
    assert asked == {
        "window": week,
        "train_window": "c/d",
        "gate_window": "e/f",
        "preset": "tiny",
    }
    alone = request({"params": {}})
    start, end = alone["window"].split("/")
    assert start < end
    assert alone["train_window"].endswith(end)
    assert alone["gate_window"].endswith(end)
    assert alone["train_window"] < alone["gate_window"] < alone["window"]
    assert alone["preset"] == "base"


@pytest.mark.parametrize(
    ("interval", "worked_on"),
    [
        ((9, 10), (9, 10)),
        ((8, 10), (8, 10)),
        # Airflow's timetable of a cron expression gives a run its time as both ends.
        ((10, 10), (9, 10)),
        ((10.5, 10.5), (9, 10)),
    ],
)
def test_a_late_run_works_on_the_hours_that_it_was_for(
    interval: tuple[float, float], worked_on: tuple[float, float]
) -> None:
    day = datetime(2026, 5, 1, tzinfo=UTC)
    start, end = (day + timedelta(hours=hour) for hour in interval)
    context = {"params": {}, "data_interval_start": start, "data_interval_end": end}
    times = [(day + timedelta(hours=hour)).isoformat() for hour in worked_on]
    assert request(context)["window"] == "/".join(times)


@pytest.mark.parametrize(
    "window", ["today", "a/b", "/", "0001-01-01T00:00:00Z/0001-01-02T00:00:00Z"]
)
def test_a_time_range_that_is_none_fails_the_run_in_one_line(window: str) -> None:
    with pytest.raises(AirflowFailException, match="is not START/END"):
        request({"params": {"window": window}})
