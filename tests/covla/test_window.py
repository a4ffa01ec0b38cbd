"""Windows are half-open, in UTC, and survive text."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covla.errors import CovlaError
from covla.window import Window

zones = st.integers(-12, 12).map(lambda hours: timezone(timedelta(hours=hours)))


@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=zones), st.integers(1, 10**9)
)
def test_text_round_trip(start: datetime, microseconds: int) -> None:
    window = Window(
        start.astimezone(UTC), start.astimezone(UTC) + timedelta(microseconds=microseconds)
    )
    assert Window.parse(str(window)) == window


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("today", "START/END"),
        ("2026-05-01T00:00:00Z", "START/END"),
        ("2026-05-01T00:00:00/2026-05-02T00:00:00", "time zone"),
        ("2026-05-02T00:00:00Z/2026-05-01T00:00:00Z", "not after"),
        ("2026-05-01T00:00:00Z/2026-05-01T00:00:00Z", "not after"),
    ],
)
def test_a_bad_window_says_why(text: str, message: str) -> None:
    with pytest.raises(CovlaError, match=message):
        Window.parse(text)
