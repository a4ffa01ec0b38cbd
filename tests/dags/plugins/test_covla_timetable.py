"""When runs are made: on time, after an outage, by a backfill."""

from datetime import timedelta
from itertools import pairwise

import pytest
from airflow.timetables.base import DataInterval, TimeRestriction
from pendulum import DateTime, datetime

import covla_timetable
from covla_timetable import IntervalTimetable

NOW = datetime(2026, 5, 20, 10, 30)  # a Wednesday
CLOCK = TimeRestriction(None, None, True)


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(covla_timetable, "_now", lambda: NOW)


def runs(
    timetable: IntervalTimetable, last: DataInterval | None, restriction: TimeRestriction = CLOCK
) -> list[DataInterval]:
    """The intervals that are due now, after `last`."""
    due = []
    while True:
        info = timetable.next_dagrun_info(
            last_automated_data_interval=last, restriction=restriction
        )
        if info is None or info.run_after > NOW:
            return due
        assert info.data_interval is not None
        assert info.run_after == info.data_interval.end + timedelta(minutes=timetable.lateness)
        last = info.data_interval
        due.append(last)


def hour(start: DateTime) -> DataInterval:
    return DataInterval(start, start + timedelta(hours=1))


def test_a_new_dag_begins_with_the_last_interval() -> None:
    assert runs(IntervalTimetable("@hourly", 10, 72), None) == [hour(NOW.replace(hour=9, minute=0))]
    # The one that ended at 10:00 is not ready before 10:45.
    assert runs(IntervalTimetable("@hourly", 45, 72), None) == [hour(NOW.replace(hour=8, minute=0))]


@pytest.mark.parametrize(("hours_away", "made"), [(1, 1), (30, 30), (24 * 9, 72)])
def test_after_an_outage_runs_are_made_up_to_a_bound(hours_away: int, made: int) -> None:
    last = hour(NOW.replace(hour=9, minute=0) - timedelta(hours=hours_away))
    due = runs(IntervalTimetable("@hourly", 10, 72), last)
    assert len(due) in {made, made - 1}
    assert due[-1] == hour(NOW.replace(hour=9, minute=0))
    assert all(later.start == earlier.end for earlier, later in pairwise(due))


def test_the_last_week_is_run_whatever_the_bound() -> None:
    weekly = IntervalTimetable("0 3 * * 1", 60, 1)
    monday = datetime(2026, 5, 18, 3)
    last = DataInterval(monday - timedelta(days=35), monday - timedelta(days=28))
    assert runs(weekly, last) == [DataInterval(monday - timedelta(days=7), monday)]


def test_a_backfill_runs_any_interval() -> None:
    begin = datetime(2026, 3, 1)
    restriction = TimeRestriction(begin, begin + timedelta(hours=4), True)
    due = runs(IntervalTimetable("@hourly", 10, 72), None, restriction)
    assert due == [hour(begin + timedelta(hours=n)) for n in range(5)]


def test_the_scheduler_reads_what_the_dag_said() -> None:
    timetable = IntervalTimetable("@daily", 5, 48)
    again = IntervalTimetable.deserialize(timetable.serialize())
    assert again == timetable
    assert (again.lateness, again.catchup) == (5, 48)


def test_a_run_by_hand_works_on_the_last_interval_that_is_ready() -> None:
    timetable = IntervalTimetable("@hourly", 10, 72)
    for minute, start in ((5, 8), (10, 9), (59, 9)):
        interval = timetable.infer_manual_data_interval(run_after=NOW.replace(minute=minute))
        assert interval == hour(NOW.replace(hour=start, minute=0))
