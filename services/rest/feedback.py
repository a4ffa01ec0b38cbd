"""`POST /feedback`: a user's label for a post, sent to the labels topic."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

from kafka import KafkaProducer
from kafka.errors import KafkaError
from pydantic import Field

from covla.errors import PostError, ServiceUnavailable
from covla.kafka import clients
from covla.posts.taxonomy import Taxonomy
from covla.schemas.contract import Contract, PostId
from covla.schemas.label import PostLabel
from covla.settings import Settings
from covla.times import now
from services.rest.queue import Overloaded

WAITING = 64
SOURCE = "feedback"
ACKNOWLEDGE_SECONDS = 10.0


class Feedback(Contract):
    """A user's label for a post."""

    post_id: PostId
    label: str = Field(min_length=1, max_length=64, description="One of those of /labels")


class FeedbackPublisher:
    """Takes labels from any thread, and sends them one after another in a thread of its own. It
    connects with the first one."""

    def __init__(self, settings: Settings, taxonomy: Taxonomy, *, capacity: int = WAITING) -> None:
        self._settings = settings
        self._taxonomy = taxonomy
        self._capacity = capacity
        self._waiting = 0
        self._closed = False
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="feedback")
        self._producer: KafkaProducer | None = None

    def submit(self, feedback: Feedback) -> "Future[PostLabel]":
        """Queue one label. The future has it once every replica of Kafka does.

        The future raises ServiceUnavailable where no broker is known or none acknowledges in time;
        the label may be on the topic all the same, and sending it again does no harm.

        Raises:
            PostError: the taxonomy has no such label.
            Overloaded: enough are waiting; nothing was done.
        """
        if feedback.label not in self._taxonomy.index:
            known = ", ".join(self._taxonomy.names)
            raise PostError("label", "unknown_label", f"{feedback.label!r} is not one of {known}")
        label = PostLabel(
            post_id=feedback.post_id, label=feedback.label, labelled_at=now(), source=SOURCE
        )
        with self._lock:
            if self._closed or self._waiting >= self._capacity:
                raise Overloaded(self._waiting, 1)
            self._waiting += 1
            future = self._pool.submit(self._send, label)
        future.add_done_callback(self._done)
        return future

    def _done(self, _: "Future[PostLabel]") -> None:
        with self._lock:
            self._waiting -= 1

    def _send(self, label: PostLabel) -> PostLabel:
        topic = clients.Topics.of(self._settings).labels
        if self._producer is None:
            clients.ensure_topics(self._settings)
            self._producer = clients.producer(self._settings)
        try:
            sent = self._producer.send(topic, key=label.post_id.encode(), value=label.to_json())
            sent.get(timeout=ACKNOWLEDGE_SECONDS)
        except KafkaError as error:
            self._drop()
            raise ServiceUnavailable(
                f"Kafka did not take the label on {topic}: {error!r}",
                hint="Send it again when the broker is back",
            ) from error
        return label

    def _drop(self) -> None:
        # Without force_close() what waits for a broker that is gone would be sent in close(): it
        # was refused, and the next label gets a new connection.
        producer, self._producer = self._producer, None
        if producer is not None:
            producer._sender.force_close()
            with suppress(KafkaError):
                producer.close(timeout=5)

    def close(self) -> None:
        """Send what was accepted, then end."""
        with self._lock:
            self._closed = True
        self._pool.shutdown()
        if self._producer is not None:
            self._producer.close(timeout=ACKNOWLEDGE_SECONDS)
