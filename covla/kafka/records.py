"""Fetched batches of a partition, read so that one which cannot be read costs itself alone.

kafka-python 3.0.12 raises out of the middle of a fetch when a batch cannot be decompressed, fails
its checksum, or holds a header whose name is not UTF-8. A consumer that is restarted meets the same
batch again, and nothing behind it is ever read. Here a record that cannot be read is still a record
with its offset, and `content` says what is wrong with it.
"""

import gzip
import io
from collections.abc import Iterator
from typing import Any

from kafka import codec
from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError, KafkaError
from kafka.record.default_records import DefaultRecord, DefaultRecordBatch
from kafka.record.util import decode_varint

from covla.errors import CovlaError, PostError

# Posts compress to a tenth of their size, a decompression bomb to a thousandth.
MAX_BATCH_BYTES = 128 * 1024 * 1024

_CODECS = {
    "snappy": (codec.has_snappy, "python-snappy"),
    "lz4": (codec.has_lz4, "lz4"),
    "zstd": (codec.has_zstd, "zstandard"),
}


class Unreadable(bytes):
    """In place of the value of a record that cannot be read: no bytes, and the reason."""

    reason: str


def content(record: Any) -> bytes | None:
    """The value of a consumed record.

    Raises:
        PostError: its batch could not be read.
    """
    if isinstance(record.value, Unreadable):
        raise PostError("record", "unreadable_batch", record.value.reason)
    value: bytes | None = record.value
    return value


def check_codecs() -> None:
    """Refuse to begin where a batch may come that this installation cannot decompress.

    Raises:
        CovlaError: a package is missing.
    """
    for name, (present, package) in _CODECS.items():
        if not present():
            raise CovlaError(
                f"batches compressed with {name} cannot be read: the package {package} is missing",
                hint=f"Install {package}",
            )


class PartitionRecords(Fetcher.PartitionRecords):  # type: ignore[misc]
    """As kafka-python's, with batches that never raise."""

    def _unpack_records(self, tp: Any, records: Any, *deserializers: Any) -> Iterator[Any]:
        first = self.fetch_offset
        return super()._unpack_records(tp, _Batches(records, first), *deserializers)  # type: ignore[no-any-return]


class _Batches:
    def __init__(self, records: Any, fetch_offset: int) -> None:
        self._records = records
        self._fetch_offset = fetch_offset

    def next_batch(self) -> Any:
        batch = self._records.next_batch()
        # Control batches hold no record; brokers since 4.0 keep no other format than 2.
        if batch is None or batch.magic != 2 or batch.is_control_batch:
            return batch
        return _Batch(batch, self._fetch_offset)


class _Batch(DefaultRecordBatch):  # type: ignore[misc]
    _buffer: bytearray
    _pos: int
    _decompressed: bool

    def __init__(self, batch: Any, fetch_offset: int) -> None:
        super().__init__(batch._buffer)
        self._fetch_offset = fetch_offset

    def validate_crc(self) -> bool:
        """True: a batch that fails its checksum is left out below, as one that is unreadable."""
        self._intact = super().validate_crc()
        return True

    def __iter__(self) -> Iterator[Any]:
        if not self._intact:
            # Its header cannot be trusted either: only the record that was wanted is passed over.
            at = max(self.base_offset, self._fetch_offset)
            yield self._unreadable(at, "the checksum of its batch is wrong")
            return
        read = self.base_offset - 1
        try:
            self._maybe_uncompress()
            for _ in range(self.records_count):
                record = self._read()
                self._next_record_index += 1
                read = record.offset
                yield record
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001  # five libraries, each with errors of its own
            name = "" if isinstance(error, KafkaError) else f"{type(error).__name__}: "
            reason = f"its batch cannot be read: {name}{error}"
            for offset in range(read + 1, self.last_offset + 1):
                yield self._unreadable(offset, reason)

    def _unreadable(self, offset: int, reason: str) -> DefaultRecord:
        value = Unreadable()
        value.reason = reason
        return DefaultRecord(0, offset, self.first_timestamp, self.timestamp_type, None, value, [])

    def _maybe_uncompress(self) -> None:
        if self.compression_type == self.CODEC_NONE or self._decompressed:
            return
        self._assert_has_codec(self.compression_type)
        data = bytes(memoryview(self._buffer)[self._pos :])
        self._buffer = bytearray(_decompress(self.compression_type, data))
        self._pos, self._decompressed = 0, True

    def _read(self) -> DefaultRecord:
        start = self._pos
        try:
            return self._read_msg()
        except ValueError:  # a header's name that is not UTF-8 is a ValueError too
            return self._read_without_headers(start)

    def _read_without_headers(self, start: int) -> DefaultRecord:
        """A header that cannot be read counts as absent."""
        length, pos = decode_varint(self._buffer, start)
        end = pos + length
        if not pos < end <= len(self._buffer):
            raise CorruptRecordError(f"a record of {length} bytes")
        _, pos = decode_varint(self._buffer, pos)
        since, pos = decode_varint(self._buffer, pos)
        delta, pos = decode_varint(self._buffer, pos)
        key, pos = self._bytes(pos, end)
        value, pos = self._bytes(pos, end)
        self._pos = end
        late = self.timestamp_type == self.LOG_APPEND_TIME
        at = self.max_timestamp if late else self.first_timestamp + since
        offset = self.base_offset + delta
        return DefaultRecord(length, offset, at, self.timestamp_type, key, value, [])

    def _bytes(self, pos: int, end: int) -> tuple[bytes | None, int]:
        length, pos = decode_varint(self._buffer, pos)
        if length < 0:
            return None, pos
        if pos + length > end:
            raise CorruptRecordError(f"a field of {length} bytes")
        return bytes(self._buffer[pos : pos + length]), pos + length


def _decompress(kind: int, data: bytes) -> bytes:
    if kind == DefaultRecordBatch.CODEC_SNAPPY:  # can make no more than 22 bytes of one
        decoded: bytes = codec.snappy_decode(data)
        return decoded
    stream: Any = io.BytesIO(data)
    if kind == DefaultRecordBatch.CODEC_GZIP:
        stream = gzip.GzipFile(fileobj=stream)
    elif kind == DefaultRecordBatch.CODEC_LZ4:
        stream = codec.lz4.open(stream)
    else:
        stream = codec.zstd.ZstdDecompressor().stream_reader(stream, read_across_frames=True)
    decoded = b""
    with stream:
        while len(decoded) <= MAX_BATCH_BYTES and (
            more := stream.read(MAX_BATCH_BYTES + 1 - len(decoded))
        ):
            decoded += more
    if len(decoded) > MAX_BATCH_BYTES:
        raise CorruptRecordError(f"it decompresses to more than {MAX_BATCH_BYTES:,} bytes")
    return decoded
