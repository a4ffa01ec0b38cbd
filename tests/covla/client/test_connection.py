"""How long a client waits for its next try, and what it does not show."""

import pytest
from tenacity import RetryCallState, Retrying

from covla.client.answers import TryLater
from covla.client.connection import FIRST_PAUSE, LONGEST_PAUSE, Connection, _pause


def test_the_key_is_in_no_repr() -> None:
    assert "covla_5_6" not in repr(Connection.to(None, "covla_5_6", 1, 1))


@pytest.mark.parametrize(
    ("attempt", "retry_after", "least", "most"),
    [
        (1, None, FIRST_PAUSE / 2, FIRST_PAUSE),
        (2, None, FIRST_PAUSE, 2 * FIRST_PAUSE),
        (30, None, LONGEST_PAUSE / 2, LONGEST_PAUSE),
        (30, 3.0, 3, 3),
        (1, 0.0, 0.1, 0.1),  # never in a busy loop
    ],
)
def test_the_pause_is_what_the_service_says_or_grows(
    attempt: int, retry_after: float | None, least: float, most: float
) -> None:
    state = RetryCallState(Retrying(), None, (), {})
    state.attempt_number = attempt
    error = TryLater("busy", 429, retry_after)
    state.set_exception((TryLater, error, None))
    for _ in range(20):
        assert least <= _pause(state) <= most
