"""What the lake keeps of dead letters, whatever time Kafka gives their records."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from covla.errors import PostError
from covla.kafka import dead_letters
from covla.settings import Settings
from covla.time_range import TimeRange
from features.dead_letters import dead_letter_rows
from features.lake import Lake

AT = datetime(2026, 5, 1, 9, 30, tzinfo=UTC)
HOUR = TimeRange(AT - timedelta(minutes=30), AT + timedelta(minutes=30))


def dead(offset: int, timestamp: int | None) -> tuple[Any, dead_letters.DeadLetter]:
    """A record and its dead letter."""
    record: Any = SimpleNamespace(
        topic="posts", partition=2, offset=offset, key=b"k", value=b"{", headers=[]
    )
    record.timestamp = timestamp
    error = PostError("text", "not_json", "a secret text")
    return record, dead_letters.make(record, error, stage="parse")


def test_a_replay_finds_its_own_rows(offline_settings: Settings) -> None:
    lake = Lake(offline_settings)
    pairs = [dead(i, int(AT.timestamp() * 1000)) for i in range(3)]
    lake.append("dead_letters", dead_letter_rows(pairs, offline_settings))
    first = lake.read("dead_letters", HOUR).to_pylist()
    lake.append("dead_letters", dead_letter_rows(pairs[1:], offline_settings))
    assert lake.read("dead_letters", HOUR).to_pylist() == first
    assert [(row["offset"], row["stage"], row["error_code"]) for row in first] == [
        (i, "parse", "not_json") for i in range(3)
    ]
    assert "secret" not in str(first)


@pytest.mark.parametrize("timestamp", [None, -1, 0, 2**62, 253402300799999])
def test_a_time_that_cannot_be_stops_no_worker(
    offline_settings: Settings, timestamp: int | None
) -> None:
    lake = Lake(offline_settings)
    rows = dead_letter_rows([dead(0, timestamp)], offline_settings)
    lake.append("dead_letters", rows)
    assert rows["event_timestamp"].to_pylist() == [offline_settings.earliest_time]
