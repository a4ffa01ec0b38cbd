"""Waiting with a deadline."""

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(
    ask: Callable[[], T],
    until: Callable[[T], bool] = bool,
    *,
    timeout: float,
    every: float = 0.5,
    error: Callable[[T], Exception] | None = None,
) -> T:
    """Ask now and then every so many seconds until `until` says yes of the answer; returns it.

    What `ask` raises, or a signal's handler, ends the wait at once.

    Args:
        timeout: seconds; nothing is asked again when they have passed.
        error: of the last answer, raised when the time is over; without it that answer is returned.

    Raises:
        Exception: see `error`.
    """
    # Not at the top: it imports asyncio and tornado, and most commands never wait.
    from tenacity import RetryError, Retrying, retry_if_not_result, stop_after_delay, wait_fixed

    retrying = Retrying(
        retry=retry_if_not_result(until), stop=stop_after_delay(timeout), wait=wait_fixed(every)
    )
    try:
        return retrying(ask)
    except RetryError as late:
        last: T = late.last_attempt.result()
    if error is None:
        return last
    raise error(last)
