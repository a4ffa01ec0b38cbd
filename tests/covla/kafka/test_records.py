"""Batches of every codec are read; what cannot be read costs itself alone."""

import gzip
import struct
from typing import Any

import pytest
from kafka import KafkaProducer, TopicPartition, codec
from kafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from kafka.record.memory_records import MemoryRecords
from kafka.record.util import calc_crc32c

from covla.errors import CovlaError, PostError
from covla.kafka import clients
from covla.kafka.records import PartitionRecords, content
from covla.settings import Settings

CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}


def batch(
    first: int, values: list[bytes], *, kind: int = 0, headers: Any = (("a", b"b"),)
) -> bytearray:
    builder = DefaultRecordBatchBuilder(2, kind, 0, -1, -1, -1, 1 << 20)
    for i, value in enumerate(values):
        builder.append(i, 5, b"k", value, list(headers))
    made = bytearray(builder.build())
    made[0:8] = struct.pack(">q", first)
    return made


def sealed(made: bytearray) -> bytearray:
    """With the checksum and the length of what it holds now."""
    made[8:12] = struct.pack(">i", len(made) - DefaultRecordBatch.AFTER_LEN_OFFSET)
    crc = calc_crc32c(bytes(made[DefaultRecordBatch.ATTRIBUTES_OFFSET :]))
    made[DefaultRecordBatch.CRC_OFFSET : DefaultRecordBatch.ATTRIBUTES_OFFSET] = struct.pack(
        ">I", crc
    )
    return made


def read(*batches: bytearray, at: int = 0) -> list[Any]:
    data = b"".join(batches)
    found = PartitionRecords(at, TopicPartition("t", 0), MemoryRecords(data)).take(1000)
    return list(found)


@pytest.mark.parametrize("name", CODECS)
def test_every_codec_is_read(name: str) -> None:
    records = read(batch(7, [b"one", b"two" * 1000], kind=CODECS[name]))
    assert [(r.offset, content(r)) for r in records] == [(7, b"one"), (8, b"two" * 1000)]


def _body(kind: int, new: bytes) -> bytearray:
    """Three records from offset 2 on, in a body that does not hold them."""
    made = batch(2, [b"x"] * 3)
    made[22] = kind
    return sealed(made[: DefaultRecordBatch.HEADER_STRUCT.size] + new)


BROKEN = {
    "not-gzip": _body(1, b"no gzip at all"),
    "not-snappy": _body(2, b"\xff" * 40),
    "not-lz4": _body(3, b"no lz4 at all"),
    "not-zstd": _body(4, b"no zstd at all"),
    "unknown-codec": _body(7, b"?"),
    "cut": _body(0, bytes(batch(2, [b"x"] * 3)[61:66])),
    "nonsense": _body(0, b"\x7f" * 30),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_batch_that_cannot_be_read_costs_its_own_records(name: str) -> None:
    records = read(batch(0, [b"a", b"b"]), BROKEN[name], batch(5, [b"c"], kind=3))
    assert [r.offset for r in records] == [0, 1, 2, 3, 4, 5]
    assert [content(records[i]) for i in (0, 1, 5)] == [b"a", b"b", b"c"]
    for record in records[2:5]:
        with pytest.raises(PostError, match="its batch cannot be read") as error:
            content(record)
        assert error.value.code == "unreadable_batch"


def test_a_wrong_checksum_costs_the_record_that_was_wanted() -> None:
    broken = batch(2, [b"x"] * 3)
    broken[-3] ^= 1
    records = read(broken, batch(5, [b"c"]), at=3)
    # The next fetch asks for 4, meets the batch again, and passes that record too.
    assert [r.offset for r in records] == [3, 5]
    with pytest.raises(PostError, match="checksum"):
        content(records[0])


def test_a_header_whose_name_is_not_utf8_counts_as_absent() -> None:
    made = batch(0, [b"first", b"second"], headers=[("name", b"v"), ("x", None)])
    at = made.index(b"name")
    made[at : at + 4] = b"\xff\xfe\xff\xfe"
    records = read(sealed(made), batch(2, [b"third"]))
    assert [content(r) for r in records] == [b"first", b"second", b"third"]
    assert [r.key for r in records] == [b"k"] * 3
    assert [r.headers for r in records] == [[], [("name", b"v"), ("x", None)], [("a", b"b")]]


def test_a_decompression_bomb_is_no_larger_than_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("covla.kafka.records.MAX_BATCH_BYTES", 1_000_000)
    bomb = bytes(100_000_000)
    for kind, packed in (
        (1, gzip.compress(bomb, 9)),
        (3, codec.lz4.compress(bomb)),
        (4, codec.zstd_encode(bomb)),
    ):
        records = read(_body(kind, packed), batch(5, [b"good" * 99], kind=kind))
        with pytest.raises(PostError, match="decompresses to more than 1,000,000 bytes"):
            content(records[0])
        assert content(records[3]) == b"good" * 99


def test_a_package_that_is_missing_is_named_before_anything_is_read(
    offline_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kafka.codec.snappy", None)
    with pytest.raises(CovlaError, match="snappy cannot be read: the package python-snappy"):
        clients.consumer(offline_settings, group=None)


@pytest.mark.slow
def test_the_batches_of_other_producers_are_read(settings: Settings) -> None:
    topics = clients.ensure_topics(settings)
    for name in CODECS:
        client = KafkaProducer(
            **clients.client_config(settings),
            compression_type=None if name == "none" else name,
            linger_ms=50,
        )
        for i in range(5):
            client.send(topics.posts, key=b"same", value=f"{name}-{i}".encode())
        client.close()
    reader = clients.consumer(settings, topics.posts, group="codecs", max_poll_records=3)
    got: list[bytes | None] = []
    try:
        while len(got) < 25:
            got += [content(r) for part in reader.poll(timeout_ms=5000).values() for r in part]
    finally:
        reader.close(autocommit=False)
    assert got == [f"{name}-{i}".encode() for name in CODECS for i in range(5)]
