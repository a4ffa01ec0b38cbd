"""Dead letters looked at, and sent back to where they came from."""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypedDict

from kafka.errors import KafkaError
from kafka.structs import TopicPartition
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from covla.errors import CovlaError, PostError, ServiceUnavailable
from covla.kafka import clients
from covla.kafka.dead_letters import DeadLetter, read
from covla.settings import Settings

SEND_SECONDS = 30
REPLAYED_FROM = "replayed-from"
_LAST_MS = 253_402_300_799_000  # the end of the year 9999


# As JSON has it, where "class" is a name.
Row = TypedDict("Row", {
    "id": str, "when": str, "source": str, "key": str, "class": str, "field": str, "message": str,
    "stage": str, "replays": int, "bytes": int,
})  # fmt: skip


class FullRow(Row):
    """A row with the original bytes: as text, and in base64 for a program."""

    code_version: str
    value: str | None
    left_out: bool
    value_base64: str | None


@dataclass(frozen=True)
class Entry:
    """One record of the dead-letter topic."""

    dead_letter: DeadLetter
    partition: int
    offset: int
    when: datetime

    @property
    def id(self) -> str:
        """PARTITION:OFFSET on the dead-letter topic."""
        return f"{self.partition}:{self.offset}"

    def row(self) -> Row:
        """What a table shows."""
        dead_letter, left_out = self.dead_letter, self.dead_letter.left_out
        return {
            "id": self.id,
            "when": self.when.isoformat(timespec="seconds"),
            "source": dead_letter.place,
            "key": _text(dead_letter.key),
            "class": dead_letter.error_class,
            "field": dead_letter.error_field,
            "message": dead_letter.error_message,
            "stage": dead_letter.stage,
            "replays": dead_letter.replays,
            "bytes": len(dead_letter.value or b"") if left_out is None else left_out,
        }

    def full(self) -> FullRow:
        """Everything."""
        value = self.dead_letter.value
        return {
            **self.row(),
            "code_version": self.dead_letter.code_version,
            "value": None if value is None else _text(value),
            "left_out": self.dead_letter.left_out is not None,
            "value_base64": None if value is None else base64.b64encode(value).decode(),
        }


def _text(content: bytes | None) -> str:
    return (content or b"").decode("utf-8", "backslashreplace")


def _records(settings: Settings, topic: str, since: datetime | None = None) -> Iterator[Any]:
    """Every committed record of a topic up to now, partition by partition.

    With `since`, from each partition's first record that is not older.
    """
    client = clients.consumer(settings, group=None)
    try:
        partitions = [TopicPartition(topic, p) for p in client.partitions_for_topic(topic) or ()]
        ends = client.end_offsets(partitions)
        for partition in partitions:
            client.assign([partition])
            if since is None:
                client.seek_to_beginning(partition)
            else:
                first = client.offsets_for_times({partition: int(since.timestamp() * 1000)})
                at = first.get(partition)
                client.seek(partition, at.offset if at else ends[partition])
            while client.position(partition) < ends[partition]:
                for records in client.poll(timeout_ms=1000).values():
                    yield from (record for record in records if record.offset < ends[partition])
    except KafkaError as error:
        raise ServiceUnavailable(f"cannot read {topic}: {error}") from error
    finally:
        client.close()


def entries(settings: Settings, *, error_class: str | None = None) -> list[Entry]:
    """Every dead letter, oldest first.

    Two services that read one topic may both refuse a post: their dead letters have one identity.
    A record that is none (another program wrote to the topic) is left out.
    """
    matching = []
    for record in _records(settings, clients.Topics.of(settings).dead_letters):
        try:
            dead_letter = read(record)
        except PostError:
            continue
        if error_class is not None and dead_letter.error_class != error_class:
            continue
        # The time of the record is its producer's, and may be none that there is.
        when = datetime.fromtimestamp(min(max(record.timestamp, 0), _LAST_MS) / 1000, UTC)
        matching.append(Entry(dead_letter, record.partition, record.offset, when))
    return sorted(matching, key=lambda entry: entry.when)


def find(settings: Settings, entry_id: str) -> Entry:
    """The dead letter at PARTITION:OFFSET.

    Raises:
        CovlaError: there is none.
    """
    for entry in entries(settings):
        if entry.id == entry_id:
            return entry
    raise CovlaError(f"no dead letter {entry_id!r}", hint="`covla dlq ls` shows their ids")


def show_table(rows: Sequence[Row]) -> None:
    """Print rows for a person."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    columns = ("id", "when", "source", "class", "field", "stage", "replays", "message")
    for name in columns:
        table.add_column(name, no_wrap=name != "message")
    for row in rows:
        cells: dict[str, object] = {**row}
        table.add_row(*(escape(str(cells[name])) for name in columns))
    # A narrow terminal breaks long lines; a table squeezed into it would lose what it says.
    Console(width=max(Console().width, 160)).print(table)


def _replayed(settings: Settings, chosen: Sequence[Entry]) -> set[str]:
    """Identities that an earlier replay has sent back already."""
    places = set()
    for topic in {entry.dead_letter.source_topic for entry in chosen}:
        for record in _records(settings, topic, since=min(entry.when for entry in chosen)):
            origin = dict(record.headers or []).get(REPLAYED_FROM)
            if origin is not None:
                places.add(origin.decode("utf-8", "replace"))
    return places


def replayable(settings: Settings, *, error_class: str | None, limit: int | None) -> list[Entry]:
    """The dead letters that `replay` would send: each original once, none that was sent before,
    and none whose value is not in the dead letter."""
    every = entries(settings, error_class=error_class)
    chosen = [entry for entry in every if entry.dead_letter.left_out is None]
    if not chosen:
        return []
    # A topic that is gone cannot be sent to, and may not be made up.
    topics = set(clients.Topics.of(settings).all())
    seen = _replayed(settings, [e for e in chosen if e.dead_letter.source_topic in topics])
    unique = []
    for entry in chosen:
        if entry.dead_letter.place not in seen and entry.dead_letter.source_topic in topics:
            seen.add(entry.dead_letter.place)
            unique.append(entry)
    return unique[:limit]


def replay(settings: Settings, chosen: Sequence[Entry]) -> int:
    """Send the original bytes back to their topics, all or none, `replays` one higher.

    Raises:
        ServiceUnavailable: the broker did not take them; nothing was sent.
    """
    if not chosen:
        return 0
    name = f"{settings.topic_prefix}.dlq-replay"
    client = clients.producer(settings, transactional_id=name)
    try:
        client.init_transactions()
        client.begin_transaction()
        sent = [
            client.send(
                entry.dead_letter.source_topic,
                key=entry.dead_letter.key,
                value=entry.dead_letter.value,
                headers=[
                    ("replays", str(entry.dead_letter.replays + 1).encode()),
                    (REPLAYED_FROM, entry.dead_letter.place.encode()),
                ],
            )
            for entry in chosen
        ]
        client.flush()
        for future in sent:
            future.get(timeout=SEND_SECONDS)
        client.commit_transaction()
    except KafkaError as error:
        # Not committed: no reader sees any of them.
        raise ServiceUnavailable(f"nothing was replayed: {error}") from error
    finally:
        client.close(timeout=SEND_SECONDS)
    return len(chosen)
