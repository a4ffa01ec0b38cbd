"""Windows are half-open, in UTC, and survive text."""

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covla.errors import CovlaError
from covla.time_range import TimeRange, parse_time

zones = st.integers(-12, 12).map(lambda hours: timezone(timedelta(hours=hours)))


@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=zones), st.integers(1, 10**9)
)
def test_text_round_trip(start: datetime, microseconds: int) -> None:
    window = TimeRange(
        start.astimezone(UTC), start.astimezone(UTC) + timedelta(microseconds=microseconds)
    )
    assert TimeRange.parse(str(window)) == window


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("today", "START/END"),
        ("2026-05-01T00:00:00Z", "START/END"),
        ("2026-05-01T00:00:00/2026-05-02T00:00:00", "time zone"),
        ("2026-05-02T00:00:00Z/2026-05-01T00:00:00Z", "not after"),
        ("2026-05-01T00:00:00Z/2026-05-01T00:00:00Z", "not after"),
        ("0001-01-01T00:00:00+12:00/2026-05-01T00:00:00Z", "not between 1970 and 2200"),
        ("2026-05-01T00:00:00Z/9999-12-31T23:59:59-12:00", "not between 1970 and 2200"),
        ("2026-05-01T00:00:00Z/2026-05-02T00:00:00+99:00", "START/END"),
        ("2026-05-01T00:00:00Z/2026-05-02T00:00:00Z/", "START/END"),
        ("-1/0", "START/END"),
        ("", "START/END"),
    ],
)
def test_a_bad_window_says_why(text: str, message: str) -> None:
    with pytest.raises(CovlaError, match=message):
        TimeRange.parse(text)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+12:00", "9999-12-31T23:59:59-12:00", "now"])
def test_a_time_in_an_option_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(CovlaError, match=f"^as-of: '{re.escape(text)}' is not") as found:
        parse_time("as-of", text)
    assert "\n" not in str(found.value)
    assert found.value.exit_code == 2
