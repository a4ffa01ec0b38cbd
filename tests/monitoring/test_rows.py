"""The rows that a drift run compares."""

from datetime import UTC, datetime, timedelta

import pytest

from covla.errors import TooFew
from covla.settings import Settings
from covla.time_range import TimeRange
from monitoring.rows import window_rows
from tests.features.old_rows import post_row, put

START = datetime(2026, 5, 1, tzinfo=UTC)
HOUR = TimeRange(START, START + timedelta(hours=1))


def test_rows_as_of_a_time_are_those_that_were_written_by_then(offline_settings: Settings) -> None:
    early, late = ({"created_timestamp": HOUR.end + timedelta(hours=h)} for h in (1, 2))
    edited = post_row(1, START + timedelta(minutes=5), text_words=9.0, **late)
    put(offline_settings, [post_row(1, START, text_words=2.0, **early), edited], [])
    now = window_rows(HOUR, offline_settings)
    then = window_rows(HOUR, offline_settings, HOUR.end + timedelta(hours=1))
    assert (now["text_words"].tolist(), then["text_words"].tolist()) == ([9.0], [2.0])
    with pytest.raises(TooFew, match="no post"):
        window_rows(HOUR, offline_settings, HOUR.end)
