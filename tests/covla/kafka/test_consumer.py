"""Joins that take long, and what counts as idle, on a real broker."""

import time

import pytest
from kafka import KafkaAdminClient

from covla.kafka import clients
from covla.kafka.consumer import Idle
from covla.settings import Settings

pytestmark = pytest.mark.slow


def test_a_join_that_outlasts_a_poll_still_ends_with_the_partitions(settings: Settings) -> None:
    """Workers poll for a moment at a time; under load a join takes longer than that."""
    topics = clients.ensure_topics(settings)
    reader = clients.consumer(settings, topics.posts, group="joins", metadata_max_age_ms=200)
    admin = KafkaAdminClient(bootstrap_servers=clients.bootstrap(settings))
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


def test_a_consumer_is_idle_after_all_is_read_and_not_while_it_joins(settings: Settings) -> None:
    topics = clients.ensure_topics(settings)
    producer = clients.producer(settings)
    for i in range(50):
        producer.send(topics.posts, key=b"%d" % i, value=b"x")
    producer.close()
    reader = clients.consumer(settings, topics.posts, group="idle", max_poll_records=7)
    try:
        idle, read = Idle(reader), 0
        while not idle.lasts(0):
            read += sum(map(len, reader.poll(timeout_ms=1).values()))
        assert read == 50
        assert reader.lag() == {topics.posts: 0}
    finally:
        reader.close(autocommit=False)


def test_a_member_without_a_partition_is_idle_in_the_end(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("covla.kafka.consumer.RETRY_DEADLINE", 3.0)
    topics = clients.ensure_topics(settings.model_copy(update={"topic_partitions": 1}))
    readers = [clients.consumer(settings, topics.posts, group="many") for _ in range(2)]
    try:
        deadline = time.monotonic() + 60
        idle = [Idle(reader) for reader in readers]
        done, assigned = [False, False], [0, 0]
        # A member that was not polled for long believes in what it had before a while longer.
        while not (all(done) and assigned == [0, 1]) and time.monotonic() < deadline:
            for reader in readers:
                reader.poll(timeout_ms=200)
            done = [one.lasts(1) for one in idle]
            assigned = sorted(len(reader.assignment()) for reader in readers)
        assert all(done)
        assert assigned == [0, 1]
    finally:
        for reader in readers:
            reader.close(autocommit=False)
