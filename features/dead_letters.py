"""What the lake keeps of a dead letter: when, where and why, and nothing of its content."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from covla.kafka.dead_letters import DeadLetter
from covla.settings import Settings
from covla.times import latest_time, now
from features.tables import DEAD_LETTERS

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def dead_letter_rows(dead: Sequence[tuple[Any, DeadLetter]], settings: Settings) -> pa.Table:
    """One row of `DEAD_LETTERS` for each consumed Kafka record and its dead letter.

    A timestamp that cannot be becomes `earliest_time`, where no one looks: a replay must find its
    own row again, so the present will not do.
    """
    created = now()
    rows = [
        {
            "event_timestamp": _time(record.timestamp, settings),
            "created_timestamp": created,
            "stage": letter.stage,
            "error_code": letter.error_class,
            "topic": letter.source_topic,
            "partition": letter.source_partition,
            "offset": letter.source_offset,
        }
        for record, letter in dead
    ]
    return pa.Table.from_pylist(rows, schema=DEAD_LETTERS)


def _time(milliseconds: int | None, settings: Settings) -> datetime:
    latest = (latest_time(settings) - _EPOCH) // timedelta(milliseconds=1)
    if milliseconds is None or not 0 <= milliseconds <= latest:
        return settings.earliest_time.astimezone(UTC)
    return max(_EPOCH + timedelta(milliseconds=milliseconds), settings.earliest_time)
