"""The stream worker: posts in, predictions or dead letters out, in one Kafka transaction a batch.

What a batch gives and how far it was read become visible together or not at all, so a worker that
is killed anywhere leaves nothing lost and nothing twice (KIP-98, KIP-447).
"""

import logging
import re
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from kafka.errors import FencedInstanceIdError, KafkaError, ProducerFencedError
from kafka.structs import OffsetAndMetadata, TopicPartition
from prometheus_client import CollectorRegistry

from covla.errors import CovlaError, DeviceFailed, Refused, ServiceUnavailable
from covla.kafka import clients
from covla.kafka.dead_letters import DeadLetter
from covla.kafka.set_aside import set_aside
from covla.kafka.worker import WorkerLoop, stop_on_signal
from covla.kafka.worker_health import WorkerHealth
from covla.schemas.prediction import Prediction
from covla.settings import Settings
from services.model import Current
from services.model_provider import serving, wait_for_champion
from services.prediction_metrics import PredictionMetrics
from services.running import recorded
from services.shadow import Shadow, shadowing
from services.stream_results import DeadLetters, SetAside, results_of

GROUP = "predict"
BATCH_POSTS = 64
POLL_MS = 500
SEND_SECONDS = 60
CLOSE_SECONDS = 10
# A batch takes a second; ten minutes without a poll means that the worker hangs.
MAX_POLL_INTERVAL_MS = 600_000
# How long a broker may be away before the worker gives up.
RETRY_DEADLINE = 120.0  # seconds

FENCED = (ProducerFencedError, FencedInstanceIdError)  # another worker has this one's name

log = logging.getLogger(__name__)
Result = Prediction | DeadLetter | SetAside


def host_name() -> str:
    """This host's name as a worker's: each container of a scaled service has another one."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())[:64] or "0"


@dataclass
class StreamStats:
    """What a worker did: committed posts by where they went."""

    predictions: int = 0
    dead_letters: int = 0
    set_aside: int = 0
    seconds: float = 0.0  # from the first post to the last commit
    posts_per_second: float = 0.0
    restarts: int = 0

    @property
    def posts(self) -> int:
        """All of them."""
        return self.predictions + self.dead_letters + self.set_aside

    def took(self, seconds: float) -> None:
        """From the first post to the last commit."""
        self.seconds = round(seconds, 3)
        self.posts_per_second = round(self.posts / seconds, 2) if seconds else 0.0


def run(
    settings: Settings,
    ref: str,
    *,
    group: str,
    name: str | None,
    until_idle: float | None,
    limit: int | None,
    metrics_port: int | None = None,
    wait: bool = False,
    say: Callable[[str], None],
) -> StreamStats:
    """One worker in this process, until SIGTERM, SIGINT, or as `Worker.run` says.

    With `metrics_port` it answers Prometheus and health checks at `settings.host`. With `wait` it
    waits for a first champion. A worker without a name has that of its host.

    The first signal lets the batch at hand be committed; the second ends the process at once.

    Raises:
        CovlaError: there is no such model, a worker of this name runs in this state folder, or
            the port is taken.
        Refused: a worker of this name took over.
        ServiceUnavailable: Kafka or the registry does not answer.
    """
    if name is not None and not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", name):
        raise CovlaError(f"--worker: {name!r} may hold letters, digits and . _ - only")
    address = clients.bootstrap(settings)
    # `covla up` and `down` know a worker that was started without options as "stream".
    record = "stream" if group == GROUP and name is None else f"stream-{group}-{name}"
    registry = CollectorRegistry()
    metrics = PredictionMetrics(registry)
    health = WorkerHealth(settings, "stream", registry, why="loading the model")
    if metrics_port:
        health.serve(settings.host, metrics_port)
    if wait and ref == "champion":
        health.waits("there is no champion yet")
        wait_for_champion(settings, say)
        health.waits("loading the model")
    with (
        recorded(settings, record, address),
        serving(settings, ref) as current,
        shadowing(settings) if ref == "champion" else nullcontext() as shadow,
    ):
        worker = Worker(settings, current, group=group, name=name, metrics=metrics, health=health)
        worker.shadow = shadow
        stop_on_signal(worker.stop, second_ends=True)
        metrics.serves(current().version)
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
        name: str | None = None,
        metrics: PredictionMetrics | None = None,
        health: WorkerHealth | None = None,
    ) -> None:
        """`current()` gives the model for the next batch: a new version takes over between two."""
        self.settings = settings
        self.topics = clients.Topics.of(settings)
        self.group = group
        self.name = f"{settings.topic_prefix}.{group}.{name or host_name()}"
        self.stats = StreamStats()
        self._loop = WorkerLoop(self.stats, health, BATCH_POSTS, POLL_MS)
        self.stop = self._loop.stop
        self._current = current
        self._metrics = metrics or PredictionMetrics(CollectorRegistry())
        self.shadow: Shadow | None = None

    def run(self, *, until_idle: float | None = None, limit: int | None = None) -> StreamStats:
        """Work until `stop` is set, until no post came for `until_idle` seconds, or until `limit`
        posts are done. A batch that has begun is committed first.

        A rebalance, a broker that is away, or a model or machine that fails ends the session, not
        the worker: what was not committed is read again by whoever has the partition then.

        Raises:
            Refused: another worker of this name took over.
            ServiceUnavailable: no broker at the start, nothing worked for RETRY_DEADLINE, or the
                GPU failed, which only another process can mend.
        """
        clients.ensure_topics(self.settings)
        limit_bytes = clients.dead_letter_limit(self.settings)
        self._dead_letters = DeadLetters(self.topics.dead_letters, limit_bytes)
        failing_since: float | None = None
        while True:
            before = self.stats.posts
            try:
                self._session(until_idle, limit)
                return self.stats
            except DeviceFailed:
                raise  # another session would fail as this one did
            except (KafkaError, ServiceUnavailable, MemoryError) as error:
                # A send after the one that failed fails with a KafkaError around its error.
                if any(isinstance(e, FENCED) for e in (error, *error.args)):
                    raise Refused(
                        f"another stream worker of the name {self.name} took over",
                        hint="Give each worker a --worker name of its own",
                    ) from error
                log.warning("stream session ended: %r; starting another", error)
                why = str(error) or "this machine is out of memory"
                self._loop.fails(why)
                self.stats.restarts += 1
                if failing_since is None or self.stats.posts > before:
                    failing_since = time.monotonic()
                if time.monotonic() - failing_since > RETRY_DEADLINE:
                    raise ServiceUnavailable(
                        f"no post could be done for {RETRY_DEADLINE:.0f} s: {why}",
                        hint="What was not committed is done by the next worker",
                    ) from error
                if self.stop.wait(1.0):
                    return self.stats

    def _session(self, until_idle: float | None, limit: int | None) -> None:
        """One membership of the group: ends without an error when the work is done."""
        writer = clients.producer(self.settings, transactional_id=self.name)
        reader = None
        try:
            writer.init_transactions()  # ends what a dead worker of this name left open
            reader = clients.consumer(
                self.settings,
                self.topics.posts,
                group=f"{self.settings.topic_prefix}.{self.group}",
                # A restarted worker takes its partitions over at once; no wait for a time-out.
                group_instance_id=self.name,
                max_poll_interval_ms=MAX_POLL_INTERVAL_MS,
            )
            self._loop.run(
                reader,
                lambda records: self._handle(records, reader.group_metadata(), writer),
                until_idle=until_idle,
                limit=None if limit is None else limit - self.stats.posts,
            )
        finally:
            # A transaction that is still open stays so: the next session, or in the end the
            # broker, aborts it.
            writer.close(timeout=CLOSE_SECONDS)
            if reader is not None:
                reader.close(autocommit=False, timeout_ms=CLOSE_SECONDS * 1000)

    def _handle(self, records: list[Any], member: Any, writer: Any) -> None:
        """Predict one poll and commit it.

        `member` is the membership that polled: should the partitions have moved meanwhile, the
        broker refuses the commit.
        """
        model = self._current()
        with nullcontext() if self.shadow is None else self.shadow.aside():
            answers = results_of(records, model, self.settings)
        results = [self._dead_letters.form(answer) for answer in answers]
        writer.begin_transaction()
        self._send_all(writer, results)
        offsets = {
            TopicPartition(record.topic, record.partition): OffsetAndMetadata(
                record.offset + 1, "", -1
            )
            for record in records  # of each partition the last one counts
        }
        writer.send_offsets_to_transaction(offsets, member)
        writer.commit_transaction()
        self._dead_letters.committed()
        self._metrics.serves(model.version)
        for result in results:
            self._count(result)
        if self.shadow is not None:
            pairs = zip(records, results, strict=True)
            self.shadow.offer(
                (record, result)
                for record, result in pairs  # not those of a canary
                if isinstance(result, Prediction) and result.model_version == model.version
            )

    def _send_all(self, writer: Any, results: Sequence[Result]) -> None:
        try:
            # No flush: of kafka-python 3.0.12 it fails where a batch was split, and not with why.
            for future in [self._send(writer, r) for r in results if not isinstance(r, SetAside)]:
                future.get(timeout=SEND_SECONDS)  # a send that failed fails the batch
        except KafkaError as error:
            self._dead_letters.failed(error)
            raise
        for result in results:
            if isinstance(result, SetAside):
                # Before the commit: a line that is there twice is better than none.
                group = f"{self.settings.topic_prefix}.{self.group}"
                set_aside(self.settings, group, result.dead_letter, result.reason)

    def _send(self, writer: Any, result: Prediction | DeadLetter) -> Any:
        if isinstance(result, DeadLetter):
            return self._dead_letters.send(writer, result)
        key, value = result.post_id.encode(), result.to_json()
        return writer.send(self.topics.predictions, key=key, value=value)

    def _count(self, result: Result) -> None:
        if isinstance(result, Prediction):
            self.stats.predictions += 1
            self._metrics.answered([result])
        elif isinstance(result, SetAside):
            self.stats.set_aside += 1
            self._metrics.set_aside()
        else:
            self.stats.dead_letters += 1
            self._metrics.refused(result.error_class)
