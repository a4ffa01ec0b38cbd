"""Kafka to lake, blobs and online store. Offsets are committed after everything is written, and
every write may be repeated: at least once, and the same as once."""

import logging
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kafka.errors import KafkaError

from covla.errors import CovlaError, ServiceUnavailable
from covla.kafka import clients, dead_letters
from covla.kafka.consumer import COORDINATOR_MOVED, REBALANCED, Idle
from covla.kafka.dead_letter_writer import DeadLetterWriter
from covla.kafka.dead_letters import DeadLetter
from covla.model.encoders import Encoders, load_encoders
from covla.posts.taxonomy import load_taxonomy
from covla.settings import Settings
from features.metrics import IngestMetrics
from features.offsets import Offsets
from features.records import Label, Post, Reader
from features.sink import Sink

log = logging.getLogger(__name__)
GROUP = "ingest"
BATCH = 256  # about two seconds of work: the group never waits long for this member
POLL_MS = 200
ONLINE_STORE_RETRY_DEADLINE = 240.0  # seconds; below the group's max_poll_interval of 300


@dataclass
class WorkerStats:
    """What a run did."""

    posts_ingested: int = 0
    labels_ingested: int = 0
    dead_letters: int = 0
    set_aside: int = 0
    seconds: float = 0.0

    def result(self) -> dict[str, Any]:
        """For the command."""
        rate = self.posts_ingested / self.seconds if self.seconds else 0.0
        return vars(self) | {"seconds": round(self.seconds, 3), "posts_per_second": round(rate, 1)}


@dataclass
class _Batch:
    records: list[Any]
    pending: list[Future[Post | Label | DeadLetter]]


@dataclass
class _Session:
    """One membership of the consumer group."""

    consumer: Any
    offsets: Offsets
    dead_letters: DeadLetterWriter
    decoders: ThreadPoolExecutor


class Ingest:
    """One worker. While the encoders run on one batch, threads decode the next."""

    def __init__(
        self,
        settings: Settings,
        encoders: Encoders | None = None,
        metrics: IngestMetrics | None = None,
    ) -> None:
        self.settings = settings
        self.topics = clients.ensure_topics(settings)
        self.reader = Reader(settings, load_taxonomy(settings=settings))
        self.sink = Sink(settings, encoders or load_encoders("base", settings))
        self.totals = WorkerStats()
        self.stop = threading.Event()
        self._metrics = metrics

    def run(self, *, until_idle: float | None = None, maximum: int | None = None) -> WorkerStats:
        """Consume until told to stop.

        Args:
            until_idle: end when no message came for so many seconds.
            maximum: end after so many messages.

        Raises:
            ServiceUnavailable: Kafka, a store or the encoders fail, or the disk is full; nothing is
                lost, the next run begins where the last commit was.
        """
        group = f"{self.settings.topic_prefix}.{GROUP}"
        consumer = clients.consumer(
            self.settings, self.topics.posts, self.topics.labels, group=group
        )
        letters = DeadLetterWriter(self.settings, group)
        decoders = ThreadPoolExecutor(2, thread_name_prefix="decode")
        session = _Session(consumer, Offsets(consumer), letters, decoders)
        try:
            self._loop(session, until_idle, maximum)
            session.offsets.commit_last()
            self.sink.refresh_hashtags(force=True)
        except KafkaError as error:
            raise ServiceUnavailable(f"Kafka failed: {error}") from error
        except MemoryError as error:
            raise ServiceUnavailable(
                "this machine is out of memory", hint="What was not committed is read again"
            ) from error
        except OSError as error:
            raise ServiceUnavailable(
                f"a file cannot be written: {error}", hint="Free some space, or correct COVLA_STATE"
            ) from error
        finally:
            decoders.shutdown(cancel_futures=True)
            letters.close()
            consumer.close(autocommit=False)
        return self.totals

    def _loop(self, session: _Session, until_idle: float | None, maximum: int | None) -> None:
        taken, ahead = 0, None
        first, idle = None, Idle(session.consumer)
        while True:
            room = BATCH if maximum is None else min(BATCH, maximum - taken)
            batch = None
            if room > 0 and not self.stop.is_set():
                records = _poll(session.consumer, 0 if ahead else POLL_MS, room)
                if records:
                    first = first or time.monotonic()
                    taken += len(records)
                    read = self.reader.read
                    batch = _Batch(records, [session.decoders.submit(read, r) for r in records])
            if ahead:
                self._finish(ahead, session)
                self.totals.seconds = time.monotonic() - (first or 0)
                idle.ended()
            elif batch is None:
                if self.stop.is_set() or room <= 0:
                    return
                self._when_quiet()
                if until_idle is not None and idle.lasts(until_idle):
                    return
            if self._metrics:
                self._metrics.health.polled(session.consumer.lag())
            ahead = batch

    def _when_quiet(self) -> None:
        try:
            self.sink.refresh_hashtags()
        except ServiceUnavailable:
            self.sink.forget()  # tried again at the next quiet moment

    def _finish(self, batch: _Batch, session: _Session) -> None:
        done = [future.result() for future in batch.pending]
        letters = [item for item in done if isinstance(item, DeadLetter)]
        items = [item for item in done if not isinstance(item, DeadLetter)]
        failed = self._failures(items)
        if failed:
            self.sink.check()
            # Now that the machine is known to work, what fails again fails by itself.
            failed = [again for item, _ in failed for again in self._failures([item])]
            letters += [dead_letters.make(i.record, e, stage="store") for i, e in failed]
        aside = session.dead_letters.write(letters)
        session.offsets.commit(batch.records)
        lost = {id(item) for item, _ in failed}
        posts = sum(isinstance(item, Post) for item in items if id(item) not in lost)
        kinds = {
            "post": posts,
            "label": len(items) - len(failed) - posts,
            "dead_letter": len(letters) - aside,
            "set_aside": aside,
        }
        self.totals.posts_ingested += kinds["post"]
        self.totals.labels_ingested += kinds["label"]
        self.totals.dead_letters += kinds["dead_letter"]
        self.totals.set_aside += kinds["set_aside"]
        if self._metrics:
            self._metrics.committed(kinds)

    def _failures(self, items: Sequence[Post | Label]) -> list[tuple[Post | Label, Exception]]:
        """Write all at once; where that fails, each half alone: those that fail by themselves.

        Raises:
            CovlaError, MemoryError: the machine failed, and no record is the reason.
        """
        if not items:
            return []
        try:
            self._write(items)
        except (CovlaError, MemoryError, OSError):
            raise
        except Exception as error:  # noqa: BLE001  # each is looked at alone below
            if len(items) == 1:
                log.warning("a record cannot be stored: %r", error)
                return [(items[0], error)]
            half = len(items) // 2
            return self._failures(items[:half]) + self._failures(items[half:])
        return []

    def _write(self, items: Sequence[Post | Label]) -> None:
        posts = [item for item in items if isinstance(item, Post)]
        labels = [item for item in items if isinstance(item, Label)]
        deadline = time.monotonic() + ONLINE_STORE_RETRY_DEADLINE
        while True:
            try:
                self.sink.write(posts, labels)
                self.sink.refresh_hashtags()
                return
            except ServiceUnavailable:
                self.sink.forget()
                if time.monotonic() > deadline or self.stop.wait(1.0):
                    raise


def _poll(consumer: Any, wait_ms: int, most: int) -> list[Any]:
    try:
        polled = consumer.poll(timeout_ms=wait_ms, max_records=most)
    except (*REBALANCED, *COORDINATOR_MOVED) as error:
        log.warning("the group is not settled, joining again: %s", error)
        time.sleep(POLL_MS / 1000)
        return []
    return [record for part in polled.values() for record in part]


@contextmanager
def stopping_on_signal(worker: Ingest) -> Iterator[None]:
    """SIGTERM and SIGINT let the worker finish and commit what it has taken."""
    kept = {
        number: signal.signal(number, lambda *_: worker.stop.set())
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
