"""What an ingest worker has written, and commits to its consumer group."""

import logging
from typing import Any

from kafka import OffsetAndMetadata, TopicPartition
from kafka.errors import KafkaError
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from covla.kafka.consumer import COORDINATOR_MOVED, REBALANCED

COORDINATOR_PATIENCE = 30.0  # seconds

log = logging.getLogger(__name__)


class Offsets:
    """The offsets of one worker. Each may be committed late: a replay meets its own rows."""

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer
        self._written: dict[TopicPartition, OffsetAndMetadata] = {}

    def commit(self, records: list[Any]) -> None:
        """Commit that `records` are written; while the broker is away, a later commit does it."""
        for record in records:
            where = TopicPartition(record.topic, record.partition)
            last = self._written.get(where)
            if last is None or record.offset >= last.offset:
                self._written[where] = OffsetAndMetadata(record.offset + 1, "", -1)
        try:
            self._commit()
        except KafkaError as error:
            log.warning("cannot commit yet: %s", error)

    def commit_last(self) -> None:
        """Commit what is still to be committed, at the end of a run.

        A rebalance and a coordinator that moves are no errors: the other members read again what
        is not committed.

        Raises:
            KafkaError: the broker does not answer.
        """
        patient = Retrying(
            retry=retry_if_exception_type(COORDINATOR_MOVED),
            stop=stop_after_delay(COORDINATOR_PATIENCE),
            wait=wait_fixed(0.5),
            reraise=True,
        )
        try:
            patient(self._commit)
        except COORDINATOR_MOVED as error:
            log.warning("not committed, and read again by another member: %s", error)

    def _commit(self) -> None:
        if not self._written:
            return
        try:
            self._consumer.commit(self._written)
        except REBALANCED as error:
            # Whoever has the partitions now reads these records again, and meets their rows.
            log.warning("rebalanced before a commit, so some records are read twice: %s", error)
        self._written = {}
