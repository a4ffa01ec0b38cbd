"""What came out of the topics: predictions and dead letters since the demo began."""

from collections.abc import Callable, Iterable
from operator import not_
from typing import Any

from kafka import TopicPartition
from pydantic import ValidationError

from covla.errors import PostError, ServiceUnavailable
from covla.kafka import clients, dead_letters
from covla.kafka.records import content
from covla.posts.folder import FolderPost
from covla.schemas.prediction import Prediction
from covla.settings import Settings
from covla.waiting import wait_until
from services import publish

HINT = "The log of the stream worker says why: STATE/logs/stream.log"


class Outcome:
    """Reads predictions and dead letters from where they ended when it was made."""

    def __init__(self, settings: Settings) -> None:
        topics = clients.ensure_topics(settings)
        self._settings = settings
        self._topics = topics
        self._consumer = clients.consumer(settings, group=None)
        partitions = _partitions(self._consumer, (topics.predictions, topics.dead_letters))
        self._consumer.assign(partitions)
        self._consumer.seek_to_end(*partitions)
        for partition in partitions:
            self._consumer.position(partition)
        self.predictions: dict[str, Prediction] = {}  # newest per post_id
        self.records = 0
        self.repeated = 0
        self._ids: set[str] = set()
        self.dead: dict[tuple[str, int, int], dead_letters.DeadLetter] = {}

    def read(self) -> None:
        """Take in what has come since; records of other programs are passed over."""
        for records in self._consumer.poll(timeout_ms=500).values():
            for record in records:
                try:
                    self._take(record)
                except (PostError, ValidationError):
                    continue

    def _take(self, record: Any) -> None:
        if record.topic == self._topics.dead_letters:
            letter = dead_letters.read(record)
            self.dead[letter.identity] = letter
        else:
            prediction = Prediction.from_json(content(record))
            self.records += 1
            self.repeated += prediction.prediction_id in self._ids
            self._ids.add(prediction.prediction_id)
            self.predictions[prediction.post_id] = prediction

    def wait_for(
        self, post_ids: Iterable[str], *, timeout: float, alive: Callable[[], None]
    ) -> dict[str, Prediction]:
        """The predictions of these posts, once all are there.

        Raises:
            ServiceUnavailable: some are missing after `timeout` seconds.
        """
        wanted = set(post_ids)

        def missing() -> set[str]:
            if left := wanted - self.predictions.keys():
                alive()
                self.read()
            return left

        def late(left: set[str]) -> ServiceUnavailable:
            return ServiceUnavailable(
                f"{len(left)} of {len(wanted)} posts have no prediction after {timeout:.0f} s, "
                f"such as {min(left)}",
                hint=HINT,
            )

        # Without a pause: `read` waits for records.
        wait_until(missing, not_, timeout=timeout, every=0, error=late)
        return {post_id: self.predictions[post_id] for post_id in wanted}

    def wait_for_version(
        self, version: str, probe: FolderPost, *, timeout: float, alive: Callable[[], None]
    ) -> None:
        """Publish `probe`, a post that was predicted before, until the stream worker's prediction
        of it is by this version: the worker follows the champion by a clock of its own.

        Raises:
            ServiceUnavailable: none is after `timeout` seconds.
        """

        def newest() -> str:
            publish.publish([probe], self._settings, labels=False)
            alive()
            self.read()
            return self.predictions[probe.post.post_id].model_version

        def late(last: str) -> ServiceUnavailable:
            return ServiceUnavailable(
                f"the stream worker predicts with version {last} after {timeout:.0f} s, "
                f"and version {version} is champion",
                hint=HINT,
            )

        wait_until(newest, version.__eq__, timeout=timeout, error=late)

    def close(self) -> None:
        """Leave Kafka."""
        self._consumer.close()


def _partitions(consumer: Any, topics: Iterable[str]) -> list[TopicPartition]:
    partitions = {topic: consumer.partitions_for_topic(topic) or () for topic in topics}
    return [TopicPartition(topic, number) for topic in partitions for number in partitions[topic]]


def accuracy(predictions: dict[str, Prediction], labels: dict[str, str]) -> float:
    """Fraction of the labelled posts whose predicted label is the true one."""
    correct = sum(predictions[post_id].label == label for post_id, label in labels.items())
    return correct / len(labels)


def wait_for_group(
    settings: Settings,
    group: str,
    topics: Iterable[str],
    *,
    timeout: float,
    alive: Callable[[], Any],
) -> None:
    """Wait until a consumer group has committed all that lies on `topics` now.

    Raises:
        ServiceUnavailable: it has not after `timeout` seconds.
    """
    consumer = clients.consumer(settings, group=group)
    try:
        ends = consumer.end_offsets(_partitions(consumer, topics))

        def behind() -> int:
            left: int = sum(
                max(0, end - (consumer.committed(partition) or 0))
                for partition, end in ends.items()
            )
            if left:
                alive()
            return left

        def late(left: int) -> ServiceUnavailable:
            return ServiceUnavailable(
                f"consumer group {group} is {left} messages behind after {timeout:.0f} s"
            )

        wait_until(behind, not_, timeout=timeout, error=late)
    finally:
        consumer.close()
