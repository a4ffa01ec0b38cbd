"""What a run works on, by what it was given."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from include.time_ranges import model_of, posts_of, request

DAY = datetime(2026, 5, 1, tzinfo=UTC)
BY_HAND = {"params": {}, "dag_run": SimpleNamespace(run_after=DAY + timedelta(hours=10.5))}


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
        "live_window": "2026-05-01T00:00:00+00:00/2026-05-08T00:00:00+00:00",
        "window": week,
        "train_window": "c/d",
        "gate_window": "e/f",
        "preset": "tiny",
    }
    alone = request(BY_HAND)
    start, end = alone["window"].split("/")
    assert start < end
    assert alone["train_window"].endswith(end)
    assert alone["gate_window"].endswith(end)
    assert alone["train_window"] < alone["gate_window"] < alone["window"]
    assert "preset" not in alone  # the command has the setting


@pytest.mark.parametrize("interval", [None, (10.0, 10.0)])
def test_a_run_by_hand_that_is_cleared_works_on_the_hour_before_it_again(interval: Any) -> None:
    ends = [interval and DAY + timedelta(hours=hour) for hour in interval or (None, None)]
    context = BY_HAND | dict(zip(("data_interval_start", "data_interval_end"), ends, strict=True))
    asked = request(context)
    assert asked == request(context)
    assert asked["window"] == "2026-05-01T09:00:00+00:00/2026-05-01T10:00:00+00:00"
    assert posts_of(asked) == ["--window", asked["window"]]


def test_a_run_of_the_clock_reads_the_lake_as_it_was_soon_after_its_interval() -> None:
    start, end = (DAY + timedelta(hours=hour) for hour in (8, 10))
    asked = request({"params": {}, "data_interval_start": start, "data_interval_end": end})
    as_of = "2026-05-01T10:10:00+00:00"
    assert asked["window"] == f"{start.isoformat()}/{end.isoformat()}"
    assert posts_of(asked, "gate_window") == [
        *("--window", f"2026-04-24T10:00:00+00:00/{end.isoformat()}"),
        *("--as-of", as_of),
    ]


def test_encoders_and_teacher_are_named_where_they_were_given() -> None:
    assert model_of(request(BY_HAND)) == []
    given = request(BY_HAND | {"params": {"teacher": "self", "preset": "tiny"}})
    assert model_of(given) == ["--preset", "tiny", "--teacher", "self"]


@pytest.mark.parametrize(
    "window", ["today", "a/b", "/", "0001-01-01T00:00:00Z/0001-01-02T00:00:00Z"]
)
def test_a_time_range_that_is_none_fails_the_run_in_one_line(window: str) -> None:
    with pytest.raises(AirflowFailException, match="is not START/END"):
        request({"params": {"window": window}})


def test_what_a_watcher_found_is_what_the_run_works_on() -> None:
    week = "2026-05-01T00:00:00Z/2026-05-08T00:00:00Z"
    found = {"window": week, "as_of": "2026-05-08T00:10:00+00:00", "alert_id": "0" * 32}
    event = {"covla_alerts": [Event({"from_trigger": True, "payload": found})]}  # type: ignore[dict-item]
    asked = request({"triggering_asset_events": event} | BY_HAND)
    assert {name: asked[name] for name in found} == found  # type: ignore[literal-required]
    assert "payload" not in asked
