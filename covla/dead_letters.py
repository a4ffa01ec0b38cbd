"""Dead letters: the original bytes untouched, and headers that say what happened and where."""

from dataclasses import dataclass
from typing import Protocol

from covla import __version__
from covla.errors import PostError


class Record(Protocol):
    """What is read off a consumed Kafka record."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


@dataclass(frozen=True)
class DeadLetter:
    """A dead letter as it lies on its topic.

    `key` and `value` are those of the record that failed, byte for byte. `stage` is where it
    failed: "parse", "decode", "label", "predict" or "store".
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

    @property
    def identity(self) -> tuple[str, int, int]:
        """Where the original lies; the same for a repeat of the same failure."""
        return self.source_topic, self.source_partition, self.source_offset

    def headers(self) -> list[tuple[str, bytes]]:
        """The Kafka headers."""
        values = {
            "source-topic": self.source_topic,
            "source-partition": str(self.source_partition),
            "source-offset": str(self.source_offset),
            "error-class": self.error_class,
            "error-field": self.error_field,
            "error-message": self.error_message[:1000],
            "stage": self.stage,
            "code-version": self.code_version,
            "replays": str(self.replays),
        }
        return [(key, value.encode()) for key, value in values.items()]


def make(record: Record, error: Exception, *, stage: str) -> DeadLetter:
    """The dead letter of a consumed record that failed with `error` at `stage`."""
    headers = dict(record.headers or [])
    post_error = isinstance(error, PostError)
    return DeadLetter(
        key=record.key,
        value=record.value,
        source_topic=record.topic,
        source_partition=record.partition,
        source_offset=record.offset,
        error_class=error.code if isinstance(error, PostError) else type(error).__name__,
        error_field=error.field if isinstance(error, PostError) else "",
        error_message=str(error) if post_error else f"{type(error).__name__}: {error}",
        stage=stage,
        code_version=__version__,
        replays=int(headers.get("replays", b"0")),
    )


def read(record: Record) -> DeadLetter:
    """A record of the dead-letter topic, read back.

    Raises:
        PostError: the record lacks the headers, so it was not written by `make`.
    """
    headers = {key: value.decode("utf-8", "replace") for key, value in record.headers or []}
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
            replays=int(headers.get("replays", "0")),
        )
    except (KeyError, ValueError) as error:
        raise PostError("headers", "not_a_dead_letter", f"missing or bad: {error}") from None
