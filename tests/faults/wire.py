"""Records as any producer may write them, also such as kafka-python's own `send` refuses."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from kafka import KafkaProducer, TopicPartition
from kafka.errors import KafkaError

from covla.kafka import clients
from covla.settings import Settings

CODECS = (None, "gzip", "snappy", "lz4", "zstd")
Place = tuple[str, int, int]


class NotUtf8(str):
    """A header's name whose bytes are no UTF-8."""

    __slots__ = ()

    def encode(self, *_: Any, **__: Any) -> bytes:
        return b"\xff\xfe" + str.encode(self)


@dataclass(frozen=True)
class Wire:
    """One record on its way."""

    value: bytes | None
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes]] = field(default=())
    timestamp: int | None = None  # milliseconds since 1970
    codec: str | None = None


def send(settings: Settings, topic: str, records: Sequence[Wire]) -> dict[Place, Wire]:
    """What the broker took, by place: it refuses some timestamps."""
    taken: dict[Place, Wire] = {}
    for codec in dict.fromkeys(record.codec for record in records):
        client = KafkaProducer(
            **clients.client_config(settings),
            compression_type=codec,
            linger_ms=20,
            max_request_size=20_000_000,
        )
        partitions = sorted(client.partitions_for(topic))
        sent = []
        for i, record in enumerate(records):
            if record.codec == codec:
                where = TopicPartition(topic, partitions[i % len(partitions)])
                # `send` takes no record without key and value.
                future, *_ = client._accumulator.append(
                    where, record.timestamp, record.key, record.value, list(record.headers)
                )
                sent.append((record, future))
        client.flush(timeout=60)
        for record, future in sent:
            try:
                done = future.get(timeout=60)
            except KafkaError:
                continue
            taken[done.topic, done.partition, done.offset] = record
        client.close()
    return taken


def read(settings: Settings, topic: str, count: int) -> list[Any]:
    """Every committed record; at least `count` are waited for."""
    client = clients.consumer(settings, topic, group=None)
    records: list[Any] = []
    while rows := client.poll(timeout_ms=10_000 if len(records) < count else 1500):
        records += [record for batch in rows.values() for record in batch]
    client.close()
    return records


def uncommitted(settings: Settings, group: str, *topics: str) -> int:
    """Messages that a consumer group has not passed."""
    client = clients.consumer(settings, group=f"{settings.topic_prefix}.{group}")
    try:
        where = [TopicPartition(t, p) for t in topics for p in client.partitions_for_topic(t) or ()]
        ends = client.end_offsets(where)
        return sum(end - (client.committed(one) or 0) for one, end in ends.items())
    finally:
        client.close(autocommit=False)
