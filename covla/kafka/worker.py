"""The loop of a Kafka worker: poll, hand the records on, say that it lives, end when it should."""

import logging
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from covla.kafka.consumer import COORDINATOR_MOVED, REBALANCED, Consumer, Idle
from covla.kafka.worker_health import WorkerHealth

log = logging.getLogger(__name__)


class WorkerStats(Protocol):
    """Counts of what a worker has committed."""

    def took(self, seconds: float) -> None:
        """From the first record to the last commit so far."""


@dataclass
class WorkerLoop:
    """Polls until `stop` is set, nothing comes any more, or a limit is reached.

    A worker whose consumers come one after the other keeps one loop for all of them.
    """

    stats: WorkerStats
    health: WorkerHealth | None
    batch: int  # the most records of one poll
    poll_ms: int  # how long a poll waits for the first one
    rejoins: bool = False  # whether a poll that meets a rebalance is tried again, or raises
    stop: threading.Event = field(default_factory=threading.Event)
    _first: float = 0.0
    _failing: bool = False

    def run(
        self,
        consumer: Consumer,
        handle: Callable[[list[Any]], None],
        *,
        pending: Callable[[], bool] = lambda: False,
        when_quiet: Callable[[], None] = lambda: None,
        until_idle: float | None,
        limit: int | None,
    ) -> None:
        """Work with one consumer; what was polled is handled before this returns.

        Args:
            consumer: is subscribed, and commits nothing by itself.
            handle: does the work of a poll's records, then commits them; or it leaves them pending
                until its next call, which may be one without records.
            pending: whether it left some; the next poll then does not wait.
            when_quiet: is called when there is nothing to do.
            until_idle: end when all is read and no record came for so many seconds.
            limit: end after so many records.

        Raises:
            KafkaError: a poll failed.
        """
        idle, taken = Idle(consumer), 0
        while True:
            most = self.batch if limit is None else min(self.batch, limit - taken)
            records = []
            if most > 0 and not self.stop.is_set():
                records = self._poll(consumer, 0 if pending() else self.poll_ms, most)
            if records or pending():
                self._first = self._first or time.monotonic()
                taken += len(records)
                handle(records)
                self.stats.took(time.monotonic() - self._first)
                idle.ended()
            elif self.stop.is_set() or most <= 0:
                return
            else:
                when_quiet()
                if until_idle is not None and idle.lasts(until_idle):
                    return
            # An empty poll says nothing of a machine that fails at every batch.
            self._failing = self._failing and not (records or consumer.caught_up())
            if self.health and not self._failing:
                self.health.polled(consumer.lag())

    def fails(self, why: str) -> None:
        """The worker is not ready, for this reason, until a batch is done or all is read."""
        self._failing = True
        if self.health:
            self.health.waits(why)

    def _poll(self, consumer: Consumer, wait_ms: int, most: int) -> list[Any]:
        try:
            polled = consumer.poll(timeout_ms=wait_ms, max_records=most)
        except (*REBALANCED, *COORDINATOR_MOVED) as error:
            if not self.rejoins:
                raise
            log.warning("the group is not settled, joining again: %s", error)
            time.sleep(self.poll_ms / 1000)
            return []
        return [record for part in polled.values() for record in part]


def stop_on_signal(stop: threading.Event, *, second_ends: bool) -> None:
    """From now on SIGTERM and SIGINT let a worker commit what it has taken; with `second_ends`
    the second of them ends the process at once."""

    def handler(number: int, _: object) -> None:
        if second_ends and stop.is_set():
            raise SystemExit(128 + number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handler)
