"""A wait ends when it may, when its time is over, and at once when it is told to."""

import signal
import time
from collections.abc import Iterator
from itertools import count
from types import FrameType

import pytest

from covla.errors import CovlaError, ServiceUnavailable
from covla.waiting import wait_until


def test_what_is_there_is_not_waited_for() -> None:
    started = time.monotonic()
    assert wait_until(lambda: "there", timeout=60, every=30) == "there"
    assert time.monotonic() - started < 5


def test_it_asks_again_until_the_answer_will_do() -> None:
    numbers = count()
    assert wait_until(lambda: next(numbers), timeout=60, every=0.01) == 1
    assert wait_until(lambda: next(numbers), lambda n: n > 4, timeout=60, every=0) == 5


def test_after_the_deadline_the_error_says_what_was_there_last() -> None:
    numbers = count(7)
    with pytest.raises(ServiceUnavailable, match="still 7"):
        wait_until(
            lambda: next(numbers),
            lambda n: n > 100,
            timeout=0,
            error=lambda n: ServiceUnavailable(f"still {n}"),
        )
    assert next(numbers) == 8  # asked once, and not after the deadline


def test_without_an_error_the_last_answer_is_returned() -> None:
    started = time.monotonic()
    assert wait_until(list[int], timeout=0.2, every=0.05) == []
    assert 0.2 <= time.monotonic() - started < 5


def test_what_asking_raises_ends_it() -> None:
    def ask() -> bool:
        raise CovlaError("it ended")

    with pytest.raises(CovlaError, match="it ended"):
        wait_until(ask, timeout=60, error=lambda _: ServiceUnavailable("late"))


@pytest.fixture
def interrupted() -> Iterator[None]:
    """SIGALRM in 0.2 seconds, whose handler ends the process as SIGTERM's and SIGINT's do."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(143)

    kept = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, kept)


@pytest.mark.usefixtures("interrupted")
@pytest.mark.parametrize("asleep", [True, False])
def test_a_signal_ends_it_at_once(asleep: bool) -> None:
    started = time.monotonic()
    ask = (lambda: False) if asleep else (lambda: time.sleep(30) is not None)
    with pytest.raises(SystemExit):
        wait_until(ask, timeout=60, every=30)
    assert time.monotonic() - started < 10
