"""Kafka clients: the addresses, the security, the defaults that the guarantees stand on (ADR 5)."""

import logging
import ssl
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import orjson
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import (
    AuthorizationError,
    KafkaError,
    KafkaTimeoutError,
    TopicAlreadyExistsError,
)

from covla.errors import CovlaError, ServiceUnavailable
from covla.files import reason
from covla.kafka.consumer import Consumer
from covla.kafka.records import check_codecs
from covla.settings import Settings

# A killed worker's partitions go to another one after so long; what that one reads again is
# written or sent once all the same.
SESSION_MS = 15_000

_LARGEST = "max.message.bytes"
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Topics:
    """The six topics, each keyed by post_id."""

    posts: str
    labels: str
    predictions: str
    dead_letters: str
    alerts: str
    shadow: str

    @classmethod
    def of(cls, settings: Settings) -> "Topics":
        """Names under the configured prefix, "covla" by default."""
        names = ("posts", "labels", "predictions", "dead-letters", "alerts", "predictions.shadow")
        return cls(*(f"{settings.topic_prefix}.{name}" for name in names))

    def all(self) -> list[str]:
        """Every name."""
        return list(astuple(self))


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
    """What every client needs: address, TLS, SASL.

    Raises:
        CovlaError: COVLA_KAFKA_SSL_CAFILE holds no certificates.
    """
    config: dict[str, Any] = {
        "bootstrap_servers": bootstrap(settings),
        "security_protocol": settings.kafka_security_protocol,
        "bootstrap_timeout_ms": 10_000,
    }
    if settings.kafka_ssl_cafile:
        config["ssl_cafile"] = _certificates(settings.kafka_ssl_cafile.expanduser())
    if settings.kafka_sasl_mechanism:
        password = settings.kafka_sasl_password
        config |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_plain_username": settings.kafka_sasl_username,
            "sasl_plain_password": password.get_secret_value() if password else None,
        }
    return config


def _certificates(path: Path) -> str:
    # Here, because a client reads it in a thread of its own and would try again for ever.
    try:
        ssl.create_default_context(cafile=str(path))
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise CovlaError(
            f"COVLA_KAFKA_SSL_CAFILE: cannot read {path}: {reason(error)}",
            hint="Give the PEM file of the authorities that signed the brokers' certificates",
        ) from None
    return str(path)


def _connect(kind: Any, settings: Settings, **config: Any) -> Any:
    try:
        return kind(**(client_config(settings) | config))
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
        "max_request_size": dead_letter_bytes(settings),
    }
    if transactional_id:
        config["transactional_id"] = transactional_id
    return _connect(KafkaProducer, settings, **config)


def consumer(settings: Settings, *topics: str, group: str | None, **config: Any) -> Consumer:
    """A read-committed consumer of raw bytes that never commits by itself.

    Values are parsed by the caller inside a try: a deserializer that raises would loop on one
    bad record for ever (kafka-python#1141).

    Raises:
        CovlaError: a package is missing without which some producers' batches cannot be read.
        ServiceUnavailable: no broker answers.
    """
    check_codecs()
    defaults = {
        "group_id": group,
        "enable_auto_commit": False,
        "isolation_level": "read_committed",
        "auto_offset_reset": "earliest",
        "max_poll_records": 256,
        "session_timeout_ms": SESSION_MS,
        "heartbeat_interval_ms": SESSION_MS // 5,
    }
    client: Consumer = _connect(Consumer, settings, **(defaults | config))
    if topics:
        client.subscribe(list(topics))
        # A group leader without its topics' metadata assigns no partitions.
        try:
            for topic in topics:
                client.partitions_for_topic(topic)
        except KafkaError as error:
            client.close(autocommit=False)
            raise ServiceUnavailable(f"Kafka does not tell its topics: {error}") from error
    return client


def answers(settings: Settings) -> bool:
    """Whether a broker answers within three seconds."""
    try:
        config = client_config(settings)
    except ServiceUnavailable:
        return False
    return responds(**(config | {"bootstrap_timeout_ms": 3_000}))


def responds(**config: Any) -> bool:
    """Whether the admin API of a broker answers a client of this configuration."""
    try:
        client = KafkaAdminClient(**config)
    except KafkaError:
        return False
    try:
        return bool(client.describe_cluster()["brokers"])
    except KafkaError:
        return False
    finally:
        client.close()


def dead_letter_bytes(settings: Settings) -> int:
    """The largest dead letter that a producer sends, with its key and headers."""
    return settings.max_message_bytes * 3


def dead_letter_limit(settings: Settings) -> int:
    """The largest dead letter that producer and topic take, in bytes.

    Raises:
        ServiceUnavailable: no broker answers.
    """
    topic = Topics.of(settings).dead_letters
    client = _connect(KafkaAdminClient, settings)
    try:
        wanted = ConfigResource(ConfigResourceType.TOPIC, topic, configs={_LARGEST: None})
        described = client.describe_configs([wanted], config_filter="all")["topic"][topic]
        return min(int(described[_LARGEST]["value"]), dead_letter_bytes(settings))
    except (KeyError, AuthorizationError):
        # Not every cluster lets a client read it: a dead letter that is refused is then set aside.
        log.warning("the limit of %s cannot be read; is DESCRIBE_CONFIGS allowed?", topic)
        return dead_letter_bytes(settings)
    except KafkaError as error:
        raise ServiceUnavailable(f"Kafka does not describe {topic}: {error}") from error
    finally:
        client.close()


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
        sizes[topics.dead_letters] = dead_letter_bytes(settings)
        for name in sorted(missing):
            configs = {_LARGEST: str(sizes[name])}
            try:
                client.create_topics({name: shape | {"configs": configs}}, wait_for_metadata=True)
            except TopicAlreadyExistsError:
                continue  # another process was faster
    except KafkaError as error:
        raise ServiceUnavailable(f"Kafka refused to create topics: {error}") from error
    finally:
        client.close()
    return topics
