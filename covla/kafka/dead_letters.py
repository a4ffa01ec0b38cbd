"""Dead letters: the original bytes untouched, and headers that say what happened and where."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from covla import __version__
from covla.errors import PostError
from covla.kafka.records import Unreadable, content
from covla.settings import Settings

# What Kafka adds to a record's key, value and headers, and to the batch of one record.
_FRAME_BYTES = 200
# A key longer than this goes with a value that is too long.
_KEY_BYTES = 1000
_NAME_CHARACTERS = 200
_COUNT_DIGITS = 10
MESSAGE_CHARACTERS = 1000

Parsed = TypeVar("Parsed")
log = logging.getLogger(__name__)


class Record(Protocol):
    """What is read off a consumed Kafka record."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None

    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]:
        """Names and values; the values of other programs' headers may be null."""


@dataclass(frozen=True)
class DeadLetter:
    """A dead letter as it lies on its topic.

    `key` and `value` are those of the record that failed, byte for byte. `stage` is where it
    failed: "parse", "decode", "label", "predict" or "store". `left_out` is the size in bytes of a
    value that is left out (0 where the record could not be read at all): the original lies at the
    source.
    """

    key: bytes | None
    value: bytes | None
    source_topic: str
    source_partition: int
    source_offset: int
    error_class: str
    error_field: str
    error_message: str
    stage: str
    code_version: str
    replays: int = 0
    left_out: int | None = None

    @property
    def message_key(self) -> bytes | None:
        """The key to send: a Kafka client takes no record that lacks both key and value."""
        return b"" if self.key is None and self.value is None else self.key

    def size(self) -> int:
        """Bytes that it takes on its topic, at most."""
        headers = sum(len(name) + len(value) + 4 for name, value in self.headers())
        return len(self.key or b"") + len(self.value or b"") + headers + _FRAME_BYTES

    def within(self, limit: int) -> "DeadLetter | None":
        """This dead letter in at most `limit` bytes: without its value where that is too much; None
        where that is not enough either."""
        forms = (self, self.without_value())
        return next((form for form in forms if form.size() <= limit), None)

    def without_value(self) -> "DeadLetter":
        """It names the size and the place of the original instead."""
        size = len(self.value or b"")
        note = f"; the value of {size:,} bytes is left out, the original is {self.place}"
        return replace(
            self,
            key=self.key if len(self.key or b"") <= _KEY_BYTES else None,
            value=None,
            error_message=self.error_message[: MESSAGE_CHARACTERS - len(note)] + note,
            left_out=size,
        )

    @property
    def identity(self) -> tuple[str, int, int]:
        """Where the original lies; the same for a repeat of the same failure."""
        return self.source_topic, self.source_partition, self.source_offset

    @property
    def place(self) -> str:
        """TOPIC:PARTITION:OFFSET of the original."""
        return ":".join(str(part) for part in self.identity)

    def headers(self) -> list[tuple[str, bytes]]:
        """The Kafka headers."""
        values = {
            "source-topic": self.source_topic,
            "source-partition": str(self.source_partition),
            "source-offset": str(self.source_offset),
            "error-class": self.error_class,
            "error-field": self.error_field[:_NAME_CHARACTERS],
            "error-message": self.error_message[:MESSAGE_CHARACTERS],
            "stage": self.stage,
            "code-version": self.code_version,
            "replays": str(self.replays),
        }
        if self.left_out is not None:
            values["left-out"] = str(self.left_out)
        # A message may quote a lone surrogate out of the record.
        return [(key, value.encode("utf-8", "backslashreplace")) for key, value in values.items()]


def parse_record(
    record: Record, parser: Callable[[bytes | None, Settings], Parsed], settings: Settings
) -> Parsed | DeadLetter:
    """The post or label of a record by `parse_post` or `parse_label`, or its dead letter."""
    try:
        return parser(content(record), settings)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001  # one record must not stop its partition
        if not isinstance(error, PostError):
            log.warning("a record cannot be parsed: %r", error)
        return make(record, error, stage="parse")


def make(record: Record, error: Exception, *, stage: str) -> DeadLetter:
    """The dead letter of a consumed record that failed with `error` at `stage`."""
    unreadable = isinstance(record.value, Unreadable)
    if isinstance(error, PostError):
        code, field, message = error.code, error.field, str(error)
    else:
        code, field, message = type(error).__name__, "", f"{type(error).__name__}: {error}"
    return DeadLetter(
        key=record.key,
        value=None if unreadable else record.value,
        source_topic=record.topic,
        source_partition=record.partition,
        source_offset=record.offset,
        error_class=code,
        error_field=field,
        error_message=message,
        stage=stage,
        code_version=__version__,
        replays=_replays(record),
        left_out=0 if unreadable else None,
    )


def read(record: Record) -> DeadLetter:
    """A record of the dead-letter topic, read back.

    Raises:
        PostError: the record lacks the headers, so it was not written by `make`.
    """
    headers = _texts(record)
    try:
        return DeadLetter(
            key=record.key,
            value=record.value,
            source_topic=headers["source-topic"],
            source_partition=int(headers["source-partition"]),
            source_offset=int(headers["source-offset"]),
            error_class=headers["error-class"],
            error_field=headers["error-field"],
            error_message=headers["error-message"],
            stage=headers["stage"],
            code_version=headers["code-version"],
            replays=_replays(record),
            left_out=int(headers["left-out"]) if "left-out" in headers else None,
        )
    except (KeyError, ValueError) as error:
        raise PostError("headers", "not_a_dead_letter", f"missing or bad: {error}") from None


def _texts(record: Record) -> dict[str, str]:
    return {
        name: value.decode("utf-8", "replace")
        for name, value in record.headers or []
        if value is not None
    }


def _replays(record: Record) -> int:
    """How often `covla dlq replay` sent it back; a header of another program counts as absent."""
    count = _texts(record).get("replays", "")
    return int(count) if count.isascii() and count.isdigit() and len(count) < _COUNT_DIGITS else 0
