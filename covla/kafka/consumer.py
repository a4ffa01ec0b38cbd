"""A Kafka consumer that knows whether it has read everything, and how long there was nothing."""

import time
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import (
    CommitFailedError,
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    FencedMemberEpochError,
    IllegalGenerationError,
    NotCoordinatorError,
    RebalanceInProgressError,
    StaleMemberEpochError,
    UnknownMemberIdError,
)

from covla.kafka.records import PartitionRecords

RETRY_DEADLINE = 30.0  # seconds

# Ordinary life of a group: the partitions go to whoever is a member next.
REBALANCED = (
    CommitFailedError,
    FencedMemberEpochError,
    IllegalGenerationError,
    RebalanceInProgressError,
    StaleMemberEpochError,
    UnknownMemberIdError,
)
# The group's coordinator is on its way to another broker.
COORDINATOR_MOVED = (
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    NotCoordinatorError,
)


class Consumer(KafkaConsumer):  # type: ignore[misc]
    """A KafkaConsumer that returns records it cannot read, and completes every join.

    An unreadable record keeps its offset; `records.content` says why it cannot be read.

    A join that one poll began is completed by the next. kafka-python 3.0.12 drops it where changed
    topic metadata caused the join: the next poll sees no reason to join, and the member holds
    partitions that it never reads, without a heartbeat, until it is restarted. (kafka-python#1695
    handled the same flag before the join was a task.)
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._fetcher.PartitionRecords = PartitionRecords

    def poll(self, *arguments: Any, **options: Any) -> Any:
        """As KafkaConsumer's."""
        if self._coordinator.rejoining:
            self._coordinator.request_rejoin()
        return super().poll(*arguments, **options)

    def caught_up(self) -> bool:
        """Whether this member has read its partitions to the end, as far as the end is known.

        Before it is known, a poll without messages means nothing: a join, a look-up of
        the committed offsets and a first fetch may each take a second of a busy one.
        """
        partitions = self.assignment()
        return bool(partitions) and all(self._behind(where) == 0 for where in partitions)

    def _behind(self, where: TopicPartition) -> int | None:
        end = self.highwater(where)  # known since the last fetch: no request
        at = None if end is None else self.position(where, timeout_ms=1000)
        return None if end is None or at is None else max(end - at, 0)

    def lag(self) -> dict[str, int]:
        """Messages not yet read by topic, of the partitions whose end is known."""
        lag: dict[str, int] = {}
        for where in self.assignment():
            if (behind := self._behind(where)) is not None:
                lag[where.topic] = lag.get(where.topic, 0) + behind
        return lag


class Idle:
    """Since when a consumer that has caught up had nothing to read.

    One that gets no partition, having more members beside it than there are, is idle too, after
    RETRY_DEADLINE; so is one held up by another producer's open transaction.
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
        elif now - self._waits_since < RETRY_DEADLINE:
            self._since = now
            return False
        return now - self._since >= seconds
