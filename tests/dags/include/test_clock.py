"""The clocks are options of Airflow."""

import runpy

import pytest

from covla_timetable import IntervalTimetable
from services.stack.airflow import DAGS


def clock(monkeypatch: pytest.MonkeyPatch, **options: str) -> IntervalTimetable | None:
    for name, value in options.items():
        monkeypatch.setenv(f"AIRFLOW__COVLA__{name.upper()}", value)
    module = runpy.run_path(str(DAGS / "include" / "clock.py"))
    timetable: IntervalTimetable | None = module["clock"]("retrain_schedule", "@weekly", after=5)
    return timetable


def test_schedule_lateness_and_catch_up_are_options(monkeypatch: pytest.MonkeyPatch) -> None:
    assert clock(monkeypatch) == IntervalTimetable("@weekly", 15, 72)
    options = {"retrain_schedule": "@daily", "lateness_minutes": "1", "catchup_hours": "9"}
    timetable = clock(monkeypatch, **options)
    assert timetable is not None
    assert timetable.serialize() == {"cron": "0 0 * * *", "lateness": 6, "catchup": 9}


def test_what_acts_on_the_present_runs_at_once_and_is_not_made_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW__COVLA__LATENESS_MINUTES", "30")
    module = runpy.run_path(str(DAGS / "include" / "clock.py"))
    guard = module["clock"]("guard_schedule", "*/10 * * * *", live=True)
    assert guard == IntervalTimetable("*/10 * * * *", 0, 0)


@pytest.mark.parametrize("option", ["schedule", "retrain_schedule"])
def test_none_leaves_a_dag_to_be_triggered(monkeypatch: pytest.MonkeyPatch, option: str) -> None:
    """`covla demo` and tests stop every clock with `schedule`."""
    assert clock(monkeypatch, **{option: "none"}) is None
