"""The loop of a worker on a real broker: what it hands on, when it waits, when it ends."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from kafka.errors import CommitFailedError, KafkaError
from prometheus_client import CollectorRegistry

from covla.kafka import clients
from covla.kafka.consumer import Consumer
from covla.kafka.worker import WorkerLoop
from covla.kafka.worker_health import WorkerHealth
from covla.settings import Settings

pytestmark = pytest.mark.slow


class Stats:
    """The last time that the loop gave."""

    seconds = -1.0

    def took(self, seconds: float) -> None:
        self.seconds = seconds


@pytest.fixture
def consumer(settings: Settings) -> Iterator[Consumer]:
    """A member that reads twenty records."""
    topics = clients.ensure_topics(settings)
    producer = clients.producer(settings)
    for i in range(20):
        producer.send(topics.posts, key=b"%d" % i, value=b"%d" % i)
    producer.close()
    reader = clients.consumer(settings, topics.posts, group=f"{settings.topic_prefix}.loop")
    yield reader
    reader.close(autocommit=False)


def loop_of(settings: Settings, **options: Any) -> tuple[WorkerLoop, WorkerHealth]:
    health = WorkerHealth(settings, "loop", CollectorRegistry())
    return WorkerLoop(Stats(), health, batch=7, poll_ms=200, **options), health


def test_every_record_is_handled_once_in_batches_until_nothing_comes(
    settings: Settings, consumer: Consumer
) -> None:
    loop, health = loop_of(settings)
    batches: list[list[Any]] = []
    quiet = threading.Event()
    loop.run(consumer, batches.append, when_quiet=quiet.set, until_idle=0.5, limit=None)
    assert sorted(int(record.value) for batch in batches for record in batch) == list(range(20))
    assert max(map(len, batches)) <= 7
    assert quiet.is_set()
    assert health.problem() is None
    assert isinstance(loop.stats, Stats)
    assert loop.stats.seconds >= 0


def test_what_is_pending_is_handled_before_the_end(settings: Settings, consumer: Consumer) -> None:
    loop, _ = loop_of(settings)
    pending: list[Any] = []
    done: list[Any] = []

    def handle(records: list[Any]) -> None:
        done.extend(pending)
        pending[:] = records

    ahead = {"pending": lambda: bool(pending)}
    loop.run(consumer, handle, **ahead, until_idle=None, limit=9)
    assert (len(done), pending) == (9, [])

    def stopped(records: list[Any]) -> None:
        handle(records)
        loop.stop.set()

    loop.run(consumer, stopped, **ahead, until_idle=None, limit=None)
    assert 9 < len(done) <= 16
    assert pending == []
    assert len({record.value for record in done}) == len(done)


def test_a_worker_that_fails_is_not_ready_until_a_batch_is_done(
    settings: Settings, consumer: Consumer
) -> None:
    loop, health = loop_of(settings)
    loop.fails("the model fails")
    assert health.problem() == "the model fails"

    def broken(_: list[Any]) -> None:
        raise MemoryError

    with pytest.raises(MemoryError):
        loop.run(consumer, broken, until_idle=None, limit=None)
    assert health.problem() == "the model fails"
    loop.run(consumer, lambda _: None, until_idle=None, limit=1)
    assert health.problem() is None


@pytest.mark.parametrize("rejoins", [True, False])
def test_a_poll_that_meets_a_rebalance_is_tried_again_or_ends_the_session(
    settings: Settings, consumer: Consumer, rejoins: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, _ = loop_of(settings, rejoins=rejoins)
    poll, failures = consumer.poll, [CommitFailedError("moved")]

    def unsettled(*arguments: Any, **options: Any) -> Any:
        if failures:
            raise failures.pop()
        return poll(*arguments, **options)

    monkeypatch.setattr(consumer, "poll", unsettled)
    done: list[Any] = []
    if rejoins:
        loop.run(consumer, done.extend, until_idle=None, limit=3)
        assert len(done) == 3
    else:
        with pytest.raises(KafkaError):
            loop.run(consumer, done.extend, until_idle=None, limit=3)
        assert not done


@pytest.mark.parametrize("second_ends", [True, False])
def test_a_signal_stops_and_a_second_one_ends_only_where_it_should(second_ends: bool) -> None:
    """In a process of its own: the handlers are those of the whole process."""
    program = f"""
import signal, threading
from covla.kafka.worker import stop_on_signal
stop = threading.Event()
stop_on_signal(stop, second_ends={second_ends})
signal.raise_signal(signal.SIGTERM)
assert stop.is_set()
signal.raise_signal(signal.SIGINT)
print("goes on")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    expected = (128 + signal.SIGINT, "") if second_ends else (0, "goes on\n")
    assert (done.returncode, done.stdout) == expected, done.stderr
