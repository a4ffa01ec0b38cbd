"""Kafka clients: the addresses, the security, the defaults that the guarantees stand on (ADR 5)."""

import time
from dataclasses import dataclass
from typing import Any

import orjson
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError, KafkaTimeoutError, TopicAlreadyExistsError

from covla.errors import ServiceUnavailable
from covla.settings import Settings

PATIENCE_SECONDS = 30.0


@dataclass(frozen=True)
class Topics:
    """The five topics, each keyed by post_id."""

    posts: str
    labels: str
    predictions: str
    dead_letters: str
    alerts: str

    @classmethod
    def of(cls, settings: Settings) -> "Topics":
        """Names under the configured prefix, "covla" by default."""
        names = ("posts", "labels", "predictions", "dead-letters", "alerts")
        return cls(*(f"{settings.topic_prefix}.{name}" for name in names))

    def all(self) -> list[str]:
        """Every name."""
        return [self.posts, self.labels, self.predictions, self.dead_letters, self.alerts]


def bootstrap(settings: Settings) -> str:
    """`COVLA_KAFKA_BOOTSTRAP`, else the address of the broker that `covla up` started.

    Raises:
        ServiceUnavailable: neither is there.
    """
    if settings.kafka_bootstrap:
        return settings.kafka_bootstrap
    record = settings.run / "kafka.json"
    try:
        return str(orjson.loads(record.read_bytes())["address"])
    except (OSError, ValueError, KeyError):
        raise ServiceUnavailable(
            "no Kafka broker is known",
            hint="Start one with `covla up`, or set COVLA_KAFKA_BOOTSTRAP=HOST:PORT",
        ) from None


def client_config(settings: Settings) -> dict[str, Any]:
    """What every client needs: address, TLS, SASL."""
    config: dict[str, Any] = {
        "bootstrap_servers": bootstrap(settings),
        "security_protocol": settings.kafka_security_protocol,
        "bootstrap_timeout_ms": 10_000,
    }
    if settings.kafka_ssl_cafile:
        config["ssl_cafile"] = str(settings.kafka_ssl_cafile)
    if settings.kafka_sasl_mechanism:
        password = settings.kafka_sasl_password
        config |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_plain_username": settings.kafka_sasl_username,
            "sasl_plain_password": password.get_secret_value() if password else None,
        }
    return config


def _connect(kind: Any, settings: Settings, **config: Any) -> Any:
    try:
        return kind(**client_config(settings), **config)
    except KafkaTimeoutError as error:
        raise ServiceUnavailable(
            f"no Kafka broker answers at {bootstrap(settings)}",
            hint="Start one with `covla up`, or correct COVLA_KAFKA_BOOTSTRAP",
        ) from error


def producer(settings: Settings, *, transactional_id: str | None = None) -> KafkaProducer:
    """An idempotent producer, acks from all replicas; transactional when an id is given.

    Raises:
        ServiceUnavailable: no broker answers.
    """
    config: dict[str, Any] = {
        "acks": "all",
        "enable_idempotence": True,
        "compression_type": None,
        "linger_ms": 5,
        "max_request_size": _dead_letter_bytes(settings),
    }
    if transactional_id:
        config["transactional_id"] = transactional_id
    return _connect(KafkaProducer, settings, **config)


class Consumer(KafkaConsumer):  # type: ignore[misc]
    """A KafkaConsumer that does not forget a join which one poll began and did not see the end of.

    kafka-python 3.0.12 does when it was a change of the topics' metadata that asked for the join,
    as it is when a new member knows its topics before their partitions: the next poll finds no
    reason to join, and the member holds partitions that it never reads, without a heartbeat, until
    it is restarted. (The same flag was handled in kafka-python#1695, before the join was a task.)
    """

    def poll(self, *arguments: Any, **options: Any) -> Any:
        """As KafkaConsumer's."""
        if self._coordinator.rejoining:
            self._coordinator.request_rejoin()
        return super().poll(*arguments, **options)

    def caught_up(self) -> bool:
        """Whether this member has read all that the broker has told of its partitions.

        Before the broker has told, a poll without messages means nothing: a join, a look-up of
        the committed offsets and a first fetch may each take a second of a busy one.
        """
        held = self.assignment()
        return bool(held) and all(self._behind(where) == 0 for where in held)

    def _behind(self, where: TopicPartition) -> int | None:
        end = self.highwater(where)  # known since the last fetch: no request
        at = None if end is None else self.position(where, timeout_ms=1000)
        return None if end is None or at is None else max(end - at, 0)

    def lag(self) -> dict[str, int]:
        """Messages not yet read by topic, of the partitions of which the broker has told."""
        lag: dict[str, int] = {}
        for where in self.assignment():
            if (behind := self._behind(where)) is not None:
                lag[where.topic] = lag.get(where.topic, 0) + behind
        return lag


class Idle:
    """Since when a consumer that has caught up had nothing to read.

    One that gets no partition, having more members beside it than there are, is idle too, after
    PATIENCE_SECONDS; so is one held up by another producer's open transaction.
    """

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self._since = self._waits_since = time.monotonic()

    def ended(self) -> None:
        """There was something to do until now."""
        self._since = self._waits_since = time.monotonic()

    def lasts(self, seconds: float) -> bool:
        """Whether it had nothing for so long. Call it after a poll that gave nothing."""
        now = time.monotonic()
        if self._consumer.caught_up():
            self._waits_since = now
        elif now - self._waits_since < PATIENCE_SECONDS:
            self._since = now
            return False
        return now - self._since >= seconds


def consumer(settings: Settings, *topics: str, group: str | None, **config: Any) -> Consumer:
    """A read-committed consumer of raw bytes that never commits by itself.

    Values are parsed by the caller inside a try: a deserializer that raises would loop on one
    bad record for ever (kafka-python#1141).

    Raises:
        ServiceUnavailable: no broker answers.
    """
    defaults = {
        "group_id": group,
        "enable_auto_commit": False,
        "isolation_level": "read_committed",
        "auto_offset_reset": "earliest",
        "max_poll_records": 256,
    }
    client: Consumer = _connect(Consumer, settings, **(defaults | config))
    if topics:
        client.subscribe(list(topics))
        # Who joins before it knows its topics' partitions, and leads the group, gives nobody any.
        try:
            for topic in topics:
                client.partitions_for_topic(topic)
        except KafkaError as error:
            client.close(autocommit=False)
            raise ServiceUnavailable(f"Kafka does not tell its topics: {error}") from error
    return client


def _dead_letter_bytes(settings: Settings) -> int:
    return settings.max_message_bytes * 3


def ensure_topics(settings: Settings) -> Topics:
    """Create the topics that are missing; leave those that are there as they are.

    Raises:
        ServiceUnavailable: no broker answers, or it refuses to create a topic.
    """
    topics = Topics.of(settings)
    client = _connect(KafkaAdminClient, settings)
    try:
        missing = set(topics.all()) - set(client.list_topics())
        shape = {
            "num_partitions": settings.topic_partitions,
            "replication_factor": settings.topic_replication,
        }
        # A post over our limit must still fit where producers send it, to be refused by name; and
        # as a dead letter, which adds headers to the same bytes.
        sizes = dict.fromkeys(topics.all(), settings.max_message_bytes * 2)
        sizes[topics.dead_letters] = _dead_letter_bytes(settings)
        for name in sorted(missing):
            configs = {"max.message.bytes": str(sizes[name])}
            try:
                client.create_topics({name: shape | {"configs": configs}}, wait_for_metadata=True)
            except TopicAlreadyExistsError:
                continue  # another process was faster
    except KafkaError as error:
        raise ServiceUnavailable(f"Kafka refused to create topics: {error}") from error
    finally:
        client.close()
    return topics
