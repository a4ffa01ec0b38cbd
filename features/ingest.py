"""Kafka to lake, blobs and online store. Offsets are committed after everything is written, and
every write may be repeated: at least once, and the same as once."""

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from kafka import OffsetAndMetadata, TopicPartition
from kafka.errors import CommitFailedError, KafkaError

from covla import kafka
from covla.dead_letters import DeadLetter
from covla.errors import ServiceUnavailable
from covla.kafka_consumer import Idle
from covla.labels import load_taxonomy
from covla.model.encoders import Encoders, load_encoders
from covla.settings import Settings
from features.records import Label, Post, Reader
from features.sink import Sink

log = logging.getLogger(__name__)
GROUP = "ingest"
BATCH = 256  # about two seconds of work: the group never waits long for this member
POLL_MS = 200
ONLINE_STORE_PATIENCE = 240.0  # seconds; below the group's max_poll_interval of 300


@dataclass
class Totals:
    """What a run did."""

    posts_ingested: int = 0
    labels_ingested: int = 0
    dead_letters: int = 0
    seconds: float = 0.0

    def result(self) -> dict[str, Any]:
        """For the verb."""
        rate = self.posts_ingested / self.seconds if self.seconds else 0.0
        return vars(self) | {"seconds": round(self.seconds, 3), "posts_per_second": round(rate, 1)}


@dataclass
class _Batch:
    records: list[Any]
    pending: list[Future[Post | Label | DeadLetter]] = field(default_factory=list)

    def offsets(self) -> dict[TopicPartition, OffsetAndMetadata]:
        last: dict[TopicPartition, int] = {}
        for record in self.records:
            where = TopicPartition(record.topic, record.partition)
            last[where] = max(last.get(where, -1), record.offset)
        return {where: OffsetAndMetadata(at + 1, "", -1) for where, at in last.items()}


class Ingest:
    """One worker. While the encoders run on one batch, threads decode the next."""

    def __init__(self, settings: Settings, encoders: Encoders | None = None) -> None:
        self.settings = settings
        self.topics = kafka.ensure_topics(settings)
        self.reader = Reader(settings, load_taxonomy(settings=settings))
        self.sink = Sink(settings, encoders or load_encoders("base", settings))
        self.totals = Totals()
        self.stop = threading.Event()
        self._written: dict[TopicPartition, OffsetAndMetadata] = {}
        # Called after each commit with counts by kind and the lag by topic.
        self.on_batch: Callable[[dict[str, int], dict[str, int]], None] | None = None

    def run(self, *, until_idle: float | None = None, maximum: int | None = None) -> Totals:
        """Consume until told to stop.

        Args:
            until_idle: end when no message came for so many seconds.
            maximum: end after so many messages.

        Raises:
            ServiceUnavailable: Kafka or the online store does not answer; nothing is lost, the
                next run begins where the last commit was.
            CovlaError: the disk is full.
        """
        group = f"{self.settings.topic_prefix}.{GROUP}"
        consumer = kafka.consumer(self.settings, self.topics.posts, self.topics.labels, group=group)
        producer = kafka.producer(self.settings)
        pool = ThreadPoolExecutor(2, thread_name_prefix="decode")
        try:
            self._loop(consumer, producer, pool, until_idle, maximum)
            self._commit(consumer, must=True)
            self.sink.refresh_hashtags(force=True)
        except KafkaError as error:
            raise ServiceUnavailable(f"Kafka failed: {error}") from error
        finally:
            pool.shutdown(cancel_futures=True)
            producer.close(timeout=10)
            consumer.close(autocommit=False)
        return self.totals

    def _loop(
        self,
        consumer: Any,
        producer: Any,
        pool: ThreadPoolExecutor,
        until_idle: float | None,
        maximum: int | None,
    ) -> None:
        taken, ahead = 0, None
        first, idle = None, Idle(consumer)
        while True:
            room = BATCH if maximum is None else min(BATCH, maximum - taken)
            batch = None
            if room > 0 and not self.stop.is_set():
                wait = 0 if ahead else POLL_MS
                polled = consumer.poll(timeout_ms=wait, max_records=room)
                records = [record for part in polled.values() for record in part]
                if records:
                    first = first or time.monotonic()
                    taken += len(records)
                    batch = _Batch(records, [pool.submit(self.reader.read, r) for r in records])
            if ahead:
                self._finish(ahead, consumer, producer)
                self.totals.seconds = time.monotonic() - (first or 0)
                idle.ended()
            elif batch is None:
                if self.stop.is_set() or room <= 0:
                    return
                self._when_quiet()
                if until_idle is not None and idle.lasts(until_idle):
                    return
            ahead = batch

    def _when_quiet(self) -> None:
        try:
            self.sink.refresh_hashtags()
        except ServiceUnavailable:
            self.sink.forget()  # tried again at the next quiet moment

    def _finish(self, batch: _Batch, consumer: Any, producer: Any) -> None:
        done = [future.result() for future in batch.pending]
        posts = [item for item in done if isinstance(item, Post)]
        labels = [item for item in done if isinstance(item, Label)]
        dead = [item for item in done if isinstance(item, DeadLetter)]
        self._write(posts, labels)
        self._bury(dead, producer)
        self._written |= batch.offsets()
        self._commit(consumer)
        self.totals.posts_ingested += len(posts)
        self.totals.labels_ingested += len(labels)
        self.totals.dead_letters += len(dead)
        if self.on_batch:
            kinds = {"post": len(posts), "label": len(labels), "dead_letter": len(dead)}
            self.on_batch(kinds, consumer.lag())

    def _write(self, posts: Sequence[Post], labels: Sequence[Label]) -> None:
        deadline = time.monotonic() + ONLINE_STORE_PATIENCE
        while True:
            try:
                self.sink.write(posts, labels)
                self.sink.refresh_hashtags()
                return
            except ServiceUnavailable:
                self.sink.forget()
                if time.monotonic() > deadline or self.stop.wait(1.0):
                    raise

    def _commit(self, consumer: Any, *, must: bool = False) -> None:
        """Commit what is written. While the broker is away, later commits do it; the last must."""
        if not self._written:
            return
        try:
            consumer.commit(self._written)
        except CommitFailedError:
            # The partitions went to another worker, which reads these records again; what was
            # written meets its own rows there.
            log.warning("the group was rebalanced before a commit: some records are read twice")
        except KafkaError as error:
            if must:
                raise
            log.warning("cannot commit yet: %s", error)
            return
        self._written = {}

    def _bury(self, letters: Sequence[DeadLetter], producer: Any) -> None:
        sent = [
            producer.send(
                self.topics.dead_letters,
                key=letter.key,
                value=letter.value,
                headers=letter.headers(),
            )
            for letter in letters
        ]
        for future in sent:
            future.get(timeout=60)  # a failed send is an exception here (kafka-python#1347)


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
