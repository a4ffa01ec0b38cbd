"""What the guarantees stand on: sizes, and clear words where no broker is."""

import time

import pytest
from kafka import KafkaAdminClient

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


@pytest.mark.slow
def test_a_join_that_outlasts_a_poll_still_ends_with_the_partitions(settings: Settings) -> None:
    """Workers poll for a moment at a time; under load a join takes longer than that."""
    topics = kafka.ensure_topics(settings)
    reader = kafka.consumer(settings, topics.posts, group="joins", metadata_max_age_ms=200)
    admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap(settings))
    try:
        deadline = time.monotonic() + 60
        while not reader.assignment() and time.monotonic() < deadline:
            reader.poll(timeout_ms=1000)
        more = len(reader.assignment()) + 1
        assert more > 1
        admin.create_partitions({topics.posts: more})
        for _ in range(20):  # the metadata asks for a join; each poll begins one, and is gone
            time.sleep(0.1)
            reader.poll(timeout_ms=1)
        deadline = time.monotonic() + 30
        while len(reader.assignment()) < more and time.monotonic() < deadline:
            reader.poll(timeout_ms=1000)
        assert len(reader.assignment()) == more
    finally:
        admin.close()
        reader.close(autocommit=False)


@pytest.mark.slow
def test_a_consumer_is_idle_after_all_is_read_and_not_while_it_joins(settings: Settings) -> None:
    topics = kafka.ensure_topics(settings)
    producer = kafka.producer(settings)
    for i in range(50):
        producer.send(topics.posts, key=b"%d" % i, value=b"x")
    producer.close()
    reader = kafka.consumer(settings, topics.posts, group="idle", max_poll_records=7)
    try:
        idle, read = kafka.Idle(reader), 0
        while not idle.lasts(0):
            read += sum(map(len, reader.poll(timeout_ms=1).values()))
        assert read == 50
        assert reader.lag() == {topics.posts: 0}
    finally:
        reader.close(autocommit=False)


@pytest.mark.slow
def test_a_member_without_a_partition_is_idle_in_the_end(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka, "PATIENCE_SECONDS", 3.0)
    topics = kafka.ensure_topics(settings.model_copy(update={"topic_partitions": 1}))
    readers = [kafka.consumer(settings, topics.posts, group="many") for _ in range(2)]
    try:
        deadline = time.monotonic() + 60
        idle = [kafka.Idle(reader) for reader in readers]
        done = [False, False]
        while not all(done) and time.monotonic() < deadline:
            for reader in readers:
                reader.poll(timeout_ms=200)
            done = [one.lasts(1) for one in idle]
        assert all(done)
        assert sorted(len(reader.assignment()) for reader in readers) == [0, 1]
    finally:
        for reader in readers:
            reader.close(autocommit=False)


def test_without_a_broker_it_says_how_to_get_one(offline_settings: Settings) -> None:
    with pytest.raises(ServiceUnavailable, match="covla up"):
        kafka.bootstrap(offline_settings)
    away = offline_settings.model_copy(update={"kafka_bootstrap": "127.0.0.1:9"})
    assert kafka.bootstrap(away) == "127.0.0.1:9"
