"""What the guarantees stand on: sizes, and clear words where no broker is."""

import pytest

from covla import kafka
from covla.errors import ServiceUnavailable
from covla.settings import Settings


@pytest.mark.slow
def test_the_largest_message_that_the_topic_takes_fits_as_a_dead_letter(settings: Settings) -> None:
    topics = kafka.ensure_topics(settings)
    producer = kafka.producer(settings)
    try:
        # Kafka counts the record's own frame, so leave it a little room.
        value = b"x" * (settings.max_message_bytes * 2 - 500)
        producer.send(topics.posts, key=b"a", value=value).get(timeout=30)
        headers = [("error-message", b"e" * 1000)]
        producer.send(topics.dead_letters, key=b"a", value=value, headers=headers).get(timeout=30)
    finally:
        producer.close()


def test_without_a_broker_it_says_how_to_get_one(offline_settings: Settings) -> None:
    with pytest.raises(ServiceUnavailable, match="covla up"):
        kafka.bootstrap(offline_settings)
    away = offline_settings.model_copy(update={"kafka_bootstrap": "127.0.0.1:9"})
    assert kafka.bootstrap(away) == "127.0.0.1:9"
