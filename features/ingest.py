"""Kafka to lake, blobs and online store. Offsets are committed after everything is written, and
every write may be repeated: at least once, and the same as once."""

import logging
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from kafka.errors import KafkaError

from covla.errors import CovlaError, ServiceUnavailable
from covla.kafka import clients, dead_letters
from covla.kafka.dead_letter_writer import DeadLetterWriter
from covla.kafka.dead_letters import DeadLetter
from covla.kafka.worker import WorkerLoop
from covla.model.encoders import Encoders
from covla.posts.taxonomy import load_taxonomy
from covla.settings import Settings
from features.champion_encoders import ChampionEncoders
from features.dead_letters import dead_letter_rows
from features.metrics import IngestMetrics
from features.offsets import Offsets
from features.records import Item, Label, Post, Predicted, Reader
from features.sink import Sink

log = logging.getLogger(__name__)
GROUP = "ingest"
BATCH = 256  # about two seconds of work: the group never waits long for this member
POLL_MS = 200
ONLINE_STORE_RETRY_DEADLINE = 240.0  # seconds; below the group's max_poll_interval of 300


@dataclass
class IngestStats:
    """What a run has committed."""

    posts_ingested: int = 0
    labels_ingested: int = 0
    predictions_ingested: int = 0
    dead_letters: int = 0
    set_aside: int = 0
    seconds: float = 0.0
    posts_per_second: float = 0.0

    def took(self, seconds: float) -> None:
        """From the first record to the last commit."""
        self.seconds = round(seconds, 3)
        self.posts_per_second = round(self.posts_ingested / seconds, 1) if seconds else 0.0


_Decoding = tuple[Any, Future[Item | DeadLetter]]  # a record, and what it will be


class Ingest:
    """One worker. While the encoders run on one batch, threads decode the next."""

    def __init__(
        self,
        settings: Settings,
        encoders: Encoders | None = None,
        metrics: IngestMetrics | None = None,
    ) -> None:
        """`encoders` stay what they are; without them the champion's towers are followed.

        Raises:
            CovlaError: the encoders cannot be loaded.
            ServiceUnavailable: Kafka, a store or the registry does not answer.
        """
        self.settings = settings
        self.topics = clients.ensure_topics(settings)
        self.reader = Reader(settings, load_taxonomy(settings=settings))
        self._champions: ChampionEncoders | None = None
        if encoders is None:
            self._champions = ChampionEncoders(settings)
            encoders = self._champions.current()
        self.sink = Sink(settings, encoders)
        self.stats = IngestStats()
        health = metrics.health if metrics else None
        self._loop = WorkerLoop(self.stats, health, BATCH, POLL_MS, rejoins=True)
        self.stop = self._loop.stop
        self._metrics = metrics

    def run(self, *, until_idle: float | None = None, maximum: int | None = None) -> IngestStats:
        """Consume until `stop` is set.

        Args:
            until_idle: end when no message came for so many seconds.
            maximum: end after so many messages.

        Raises:
            ServiceUnavailable: Kafka, a store or the encoders fail, or the disk is full; nothing is
                lost, the next run begins where the last commit was.
        """
        group = f"{self.settings.topic_prefix}.{GROUP}"
        topics = (self.topics.posts, self.topics.labels, self.topics.predictions)
        consumer = clients.consumer(self.settings, *topics, group=group)
        self._offsets = Offsets(consumer)
        self._dead_letters = DeadLetterWriter(self.settings, group)
        self._decoders = ThreadPoolExecutor(2, thread_name_prefix="decode")
        self._ahead: list[_Decoding] = []
        if self._champions:
            self._champions.start()
        try:
            self._loop.run(
                consumer,
                self._handle,
                pending=lambda: bool(self._ahead),
                when_quiet=self._when_quiet,
                until_idle=until_idle,
                limit=maximum,
            )
            self._offsets.commit_last()
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
            if self._champions:
                self._champions.stop()
            self._decoders.shutdown(cancel_futures=True)
            self._dead_letters.close()
            consumer.close(autocommit=False)
        return self.stats

    def _handle(self, records: list[Any]) -> None:
        """Begin to decode these records, then store and commit those of the call before."""
        batch = self._ahead
        self._ahead = [(r, self._decoders.submit(self.reader.read, r)) for r in records]
        if batch:
            self._store(batch)

    def _when_quiet(self) -> None:
        try:
            self.sink.refresh_hashtags()
        except ServiceUnavailable:
            self.sink.forget()  # tried again at the next quiet moment

    def _store(self, batch: list[_Decoding]) -> None:
        if self._champions:
            self.sink.encoders = self._champions.current()
        decoded = [future.result() for _, future in batch]
        records = [record for record, _ in batch]
        pairs = zip(records, decoded, strict=True)
        dead = [(record, item) for record, item in pairs if isinstance(item, DeadLetter)]
        items = [item for item in decoded if not isinstance(item, DeadLetter)]
        failed = self._failures(items)
        if failed:
            self.sink.check()
            # Now that the machine is known to work, what fails again fails by itself.
            failed = [again for item, _ in failed for again in self._failures([item])]
            dead += [(i.record, dead_letters.make(i.record, e, stage="store")) for i, e in failed]
        aside = self._dead_letters.write([letter for _, letter in dead])
        if dead:
            self.sink.lake.append("dead_letters", dead_letter_rows(dead, self.settings))
        self._offsets.commit(records)
        lost = {id(item) for item, _ in failed}
        stored = Counter(type(item) for item in items if id(item) not in lost)
        kinds = {
            "post": stored[Post],
            "label": stored[Label],
            "prediction": stored[Predicted],
            "dead_letter": len(dead) - aside,
            "set_aside": aside,
        }
        self.stats.posts_ingested += kinds["post"]
        self.stats.labels_ingested += kinds["label"]
        self.stats.predictions_ingested += kinds["prediction"]
        self.stats.dead_letters += kinds["dead_letter"]
        self.stats.set_aside += kinds["set_aside"]
        if self._metrics:
            self._metrics.committed(kinds)

    def _failures(self, items: Sequence[Item]) -> list[tuple[Item, Exception]]:
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

    def _write(self, items: Sequence[Item]) -> None:
        posts = [item for item in items if isinstance(item, Post)]
        labels = [item for item in items if isinstance(item, Label)]
        predictions = [item for item in items if isinstance(item, Predicted)]
        deadline = time.monotonic() + ONLINE_STORE_RETRY_DEADLINE
        while True:
            try:
                self.sink.write(posts, labels, predictions)
                self.sink.refresh_hashtags()
                return
            except ServiceUnavailable:
                self.sink.forget()
                if time.monotonic() > deadline or self.stop.wait(1.0):
                    raise
