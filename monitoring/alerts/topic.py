"""The alerts topic: one JSON record for whoever subscribes to it."""

from collections.abc import Iterator
from contextlib import contextmanager

from kafka import KafkaProducer
from kafka.errors import KafkaError

from covla.errors import ServiceUnavailable
from covla.kafka.clients import bootstrap, ensure_topics, producer
from covla.schemas.alert import Alert
from covla.settings import Settings


class TopicSender:
    """Publishes alerts, each time waiting until the brokers have it."""

    def __init__(self, client: KafkaProducer, topic: str) -> None:
        self._client = client
        self._topic = topic

    def send(self, alert: Alert) -> None:
        """Publish one alert.

        Raises:
            ServiceUnavailable: the brokers do not take it.
        """
        try:
            future = self._client.send(
                self._topic, key=alert.alert_id.encode(), value=alert.to_json()
            )
            future.get(timeout=30)
        except KafkaError as error:
            raise ServiceUnavailable(f"Kafka did not take the alert: {error}") from error


@contextmanager
def topic_sender(settings: Settings) -> Iterator[TopicSender]:
    """One connection for several alerts; the topic is made where it is missing.

    Raises:
        ServiceUnavailable: no broker is known, or none answers.
    """
    bootstrap(settings)
    topics = ensure_topics(settings)
    client = producer(settings)
    try:
        yield TopicSender(client, topics.alerts)
    finally:
        client.close(timeout=10)
