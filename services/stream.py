"""The stream worker: posts in, predictions or dead letters out, in one Kafka transaction a batch.

What a batch gives and how far it was read become visible together or not at all, so a worker that
is killed anywhere leaves nothing lost and nothing twice (KIP-98, KIP-447).
"""

import logging
import re
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from kafka.errors import FencedInstanceIdError, KafkaError, ProducerFencedError
from kafka.structs import OffsetAndMetadata

from covla import kafka
from covla.dead_letters import DeadLetter, make
from covla.errors import CovlaError, PostError, Refused, ServiceUnavailable
from covla.kafka_consumer import Idle
from covla.post import Prediction, SocialPost, parse_post
from covla.settings import Settings
from services.models import Current, Model, serving
from services.prediction_metrics import PredictionMetrics
from services.prediction_metrics import serve as serve_metrics
from services.running import recorded

GROUP = "predict"
WORKER = "0"
BATCH_POSTS = 64
POLL_MS = 500
SEND_SECONDS = 60
CLOSE_SECONDS = 10
# A batch takes a second; ten minutes without a poll means that the worker hangs.
MAX_POLL_INTERVAL_MS = 600_000
# How long a broker may be away before the worker gives up.
PATIENCE_SECONDS = 120.0

log = logging.getLogger(__name__)


@dataclass
class Done:
    """What a worker did: committed posts by where they went."""

    predictions: int = 0
    dead_letters: int = 0
    seconds: float = 0.0  # from the first post to the last commit
    restarts: int = 0

    @property
    def posts(self) -> int:
        """All of them."""
        return self.predictions + self.dead_letters

    def as_dict(self) -> dict[str, Any]:
        """The verb's result."""
        return {
            "predictions": self.predictions,
            "dead_letters": self.dead_letters,
            "seconds": round(self.seconds, 3),
            "posts_per_second": round(self.posts / self.seconds, 2) if self.seconds else 0.0,
            "restarts": self.restarts,
        }


def results_of(
    records: Sequence[Any], model: Model, settings: Settings
) -> list[Prediction | DeadLetter]:
    """One prediction or one dead letter per record, in order.

    A record that cannot be read never reaches the model, so it cannot fail its neighbours.
    """
    results: list[Prediction | DeadLetter | None] = [None] * len(records)
    posts: dict[int, SocialPost] = {}
    for i, record in enumerate(records):
        try:
            posts[i] = parse_post(record.value, settings)
        except PostError as error:
            results[i] = make(record, error, stage="parse")
    for i, answer in zip(posts, model.predict(list(posts.values())), strict=True):
        if isinstance(answer, Prediction):
            results[i] = answer
        else:
            of_image = answer.field.startswith("image")
            results[i] = make(records[i], answer, stage="decode" if of_image else "predict")
    return [result for result in results if result is not None]


def run(
    settings: Settings,
    ref: str,
    *,
    group: str,
    name: str,
    until_idle: float | None,
    limit: int | None,
    metrics_port: int | None = None,
    say: Callable[[str], None],
) -> Done:
    """One worker in this process, until SIGTERM, SIGINT, or as `Worker.run` says.

    With `metrics_port` it answers Prometheus at `settings.host`.

    The first signal lets the batch at hand be committed; the second ends the process at once.

    Raises:
        CovlaError: there is no such model, a worker of this name runs in this state folder, or
            the port is taken.
        Refused: a worker of this name took over.
        ServiceUnavailable: Kafka or the registry does not answer.
    """
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", name):
        raise CovlaError(f"--worker: {name!r} may hold letters, digits and . _ - only")
    address = kafka.bootstrap(settings)
    # `covla up` and `down` know a worker that was started without options as "stream".
    record = "stream" if (group, name) == (GROUP, WORKER) else f"stream-{group}-{name}"
    metrics = serve_metrics(settings.host, metrics_port) if metrics_port else None
    with recorded(settings, record, address), serving(settings, ref) as current:
        worker = Worker(settings, current, group=group, name=name, metrics=metrics)

        def stop(number: int, _: object) -> None:
            if worker.stop.is_set():
                raise SystemExit(128 + number)
            worker.stop.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop)
        say(f"{worker.name} reads {worker.topics.posts} at {address}, model {current().version}")
        return worker.run(until_idle=until_idle, limit=limit)


class Worker:
    """One member of the consumer group. Each needs a name of its own; a second worker of the same
    name takes over, and the first is fenced: it can commit nothing more and ends."""

    def __init__(
        self,
        settings: Settings,
        current: Current,
        *,
        group: str = GROUP,
        name: str = WORKER,
        metrics: PredictionMetrics | None = None,
    ) -> None:
        """`current()` gives the model for the next batch: a new version takes over between two."""
        self.settings = settings
        self.topics = kafka.Topics.of(settings)
        self.group = group
        self.name = f"{settings.topic_prefix}.{group}.{name}"
        self.done = Done()
        self.stop = threading.Event()
        self._current = current
        self._metrics = metrics
        self._first = 0.0

    def run(self, *, until_idle: float | None = None, limit: int | None = None) -> Done:
        """Work until `stop` is set, until no post came for `until_idle` seconds, or until `limit`
        posts are done. A batch that has begun is committed first.

        A rebalance or a broker that is away ends the session, not the worker: what was not
        committed is read again by whoever has the partition then.

        Raises:
            Refused: another worker of this name took over.
            ServiceUnavailable: no broker at the start, or none for PATIENCE_SECONDS.
        """
        kafka.ensure_topics(self.settings)
        failing_since: float | None = None
        while True:
            before = self.done.posts
            try:
                self._session(until_idle, limit)
                return self.done
            except (ProducerFencedError, FencedInstanceIdError) as error:
                raise Refused(
                    f"another stream worker of the name {self.name} took over",
                    hint="Give each worker a --worker name of its own",
                ) from error
            except (KafkaError, ServiceUnavailable) as error:
                log.warning("stream session ended: %s; starting another", error)
                self.done.restarts += 1
                if failing_since is None or self.done.posts > before:
                    failing_since = time.monotonic()
                if time.monotonic() - failing_since > PATIENCE_SECONDS:
                    raise ServiceUnavailable(
                        f"Kafka fails since {PATIENCE_SECONDS:.0f} s: {error}",
                        hint="What was not committed is done by the next worker",
                    ) from error
                if self.stop.wait(1.0):
                    return self.done

    def _session(self, until_idle: float | None, limit: int | None) -> None:
        """One membership of the group: ends without an error when the work is done."""
        writer = kafka.producer(self.settings, transactional_id=self.name)
        reader = None
        try:
            writer.init_transactions()  # ends what a dead worker of this name left open
            reader = kafka.consumer(
                self.settings,
                self.topics.posts,
                group=f"{self.settings.topic_prefix}.{self.group}",
                # A restarted worker takes its partitions over at once; no wait for a time-out.
                group_instance_id=self.name,
                max_poll_interval_ms=MAX_POLL_INTERVAL_MS,
            )
            self._work(reader, writer, until_idle, limit)
        finally:
            # A transaction that is still open stays so: the next session, or in the end the
            # broker, aborts it.
            writer.close(timeout=CLOSE_SECONDS)
            if reader is not None:
                reader.close(autocommit=False, timeout_ms=CLOSE_SECONDS * 1000)

    def _work(self, reader: Any, writer: Any, until_idle: float | None, limit: int | None) -> None:
        idle = Idle(reader)
        while not self.stop.is_set():
            room = BATCH_POSTS if limit is None else min(BATCH_POSTS, limit - self.done.posts)
            if room <= 0:
                return
            batches = reader.poll(timeout_ms=POLL_MS, max_records=room)
            if batches:
                self._first = self._first or time.monotonic()
                self._batch(batches, reader.group_metadata(), writer)
                self.done.seconds = time.monotonic() - self._first
                idle.ended()
            elif until_idle is not None and idle.lasts(until_idle):
                return

    def _batch(self, batches: dict[Any, list[Any]], member: Any, writer: Any) -> None:
        """Predict one poll and commit it.

        `member` is the membership that polled: should the partitions have moved meanwhile, the
        broker refuses the commit.
        """
        results = results_of(
            [record for records in batches.values() for record in records],
            self._current(),
            self.settings,
        )
        writer.begin_transaction()
        sent = [self._send(writer, result) for result in results]
        writer.flush(timeout=SEND_SECONDS)
        for future in sent:
            future.get(timeout=SEND_SECONDS)  # a send that failed fails the batch
        offsets = {
            partition: OffsetAndMetadata(records[-1].offset + 1, "", -1)
            for partition, records in batches.items()
        }
        writer.send_offsets_to_transaction(offsets, member)
        writer.commit_transaction()
        dead = sum(isinstance(result, DeadLetter) for result in results)
        self.done.dead_letters += dead
        self.done.predictions += len(results) - dead
        if self._metrics is not None:
            self._count(self._metrics, results)

    def _count(self, metrics: PredictionMetrics, results: list[Prediction | DeadLetter]) -> None:
        for result in results:
            if isinstance(result, Prediction):
                metrics.serves(result.model_version)
                metrics.answered([result])
            else:
                metrics.refused(result.error_class)

    def _send(self, writer: Any, result: Prediction | DeadLetter) -> Any:
        if isinstance(result, Prediction):
            return writer.send(
                self.topics.predictions, key=result.post_id.encode(), value=result.to_json()
            )
        # The client takes no record that lacks both.
        key = b"" if result.key is None and result.value is None else result.key
        return writer.send(
            self.topics.dead_letters, key=key, value=result.value, headers=result.headers()
        )
