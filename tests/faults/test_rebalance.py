"""Members come and go while workers are stopped: each ends well, and nothing is lost or twice."""

import gc
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pytest

from covla.inference.predictor import Predictor
from covla.kafka import clients
from covla.model.encoders import Encoders
from covla.posts.synthetic.generate import generate
from covla.settings import Settings
from features.ingest import Ingest
from services.stream import Worker
from tests.faults.wire import read

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    # A connection that breaks while kafka-python sets it up is closed when it is collected only.
    pytest.mark.filterwarnings(
        "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
    ),
]

AT_ONCE = 10
STOPS = (AT_ONCE * 2, pytest.param(AT_ONCE * 5, marks=pytest.mark.soak))
START = datetime(2026, 5, 1, tzinfo=UTC)
Runs = Callable[[int], tuple[threading.Event, Callable[[], Any]]]


@pytest.fixture(autouse=True)
def _sockets_are_collected_here() -> Iterator[None]:
    """Collect kafka-python's unclosed sockets under the filter above, not in a later test."""
    yield
    gc.collect()


@contextmanager
def _in_the_background(work: Callable[[], None]) -> Iterator[None]:
    """`work` again and again until the block ends."""
    over, errors = threading.Event(), []

    def loop() -> None:
        try:
            while not over.is_set():
                work()
        except Exception as error:  # noqa: BLE001
            errors.append(error)

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(timeout=60)
    assert not errors


class _Members:
    """The consumer of each thread, so that a worker can be stopped in the middle of a rebalance."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._of: dict[int, Any] = {}
        make = clients.consumer

        def remembered(*arguments: Any, **options: Any) -> Any:
            client = make(*arguments, **options)
            self._of[threading.get_ident()] = client
            return client

        monkeypatch.setattr(clients, "consumer", remembered)

    def stop_in_a_rebalance(self, thread: int, stop: threading.Event) -> None:
        """Set `stop` when the thread's member rejoins after it has had partitions, or after 4 s."""
        had, deadline = False, time.monotonic() + 4
        while time.monotonic() < deadline:
            client = self._of.get(thread)
            if client is not None:
                had |= bool(client._subscription.assignment)
                if had and client._coordinator.rebalance_in_progress():
                    break
            time.sleep(0.002)
        stop.set()


def _stop_in_a_churn(
    settings: Settings,
    group: str,
    stops: int,
    sent: Callable[[], None],
    runs: Runs,
    members: _Members,
) -> None:
    """Stop `stops` workers, AT_ONCE at a time, while other members join and leave their group."""
    topics = clients.ensure_topics(settings)

    def join_and_leave() -> None:
        # Every second member leaves while its own join is under way.
        member = clients.consumer(settings, topics.posts, group=f"{settings.topic_prefix}.{group}")
        member.poll(timeout_ms=random.choice((10, 700)))
        member.close(autocommit=False)

    ended: list[Any] = []

    def run(number: int) -> None:
        stop, work = runs(number)
        arguments = (threading.get_ident(), stop)
        threading.Thread(target=members.stop_in_a_rebalance, args=arguments).start()
        try:
            ended.append(work())
        except BaseException as error:  # noqa: BLE001
            ended.append(error)

    with _in_the_background(join_and_leave), _in_the_background(sent):
        for first in range(0, stops, AT_ONCE):
            workers = [
                threading.Thread(target=run, args=(number,))
                for number in range(first, first + AT_ONCE)
            ]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join(timeout=120)
                assert not worker.is_alive()
    assert [end for end in ended if isinstance(end, BaseException)] == []
    assert len(ended) == stops


class _Posts:
    """A few posts at each call, each once."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.topics = clients.ensure_topics(settings)
        self.ids: list[bytes] = []
        made = generate(20_000, 3, START, START + timedelta(hours=1))
        self._made = (item.post for item, _ in made)
        self._client = clients.producer(settings)

    def __call__(self) -> None:
        for _ in range(10):
            post = next(self._made).model_copy(update={"image": None, "text": "a place"})
            self.ids.append(post.post_id.encode())
            self._client.send(self.topics.posts, key=self.ids[-1], value=post.to_json())
        self._client.flush()
        time.sleep(0.1)


@pytest.mark.parametrize("stops", STOPS)
def test_ingest_workers_that_are_stopped_in_a_churn_end_well(
    settings: Settings, encoders: Encoders, valkey: str, monkeypatch: pytest.MonkeyPatch, stops: int
) -> None:
    members = _Members(monkeypatch)
    # Threads of one process share a feature store, and only Redis takes several writers of one.
    settings = settings.model_copy(update={"online_store": "redis", "redis_url": valkey})
    posts = _Posts(settings)

    def worker(_: int) -> tuple[threading.Event, Callable[[], Any]]:
        one = Ingest(settings, encoders)
        return one.stop, one.run

    _stop_in_a_churn(settings, "ingest", stops, posts, worker, members)
    Ingest(settings, encoders).run(until_idle=2)
    files = [str(file) for file in settings.lake.glob("posts/*/*.parquet")]
    stored = Counter(ds.dataset(files).to_table(columns=["post_id"])["post_id"].to_pylist())
    assert stored == Counter(post_id.decode() for post_id in posts.ids)


@pytest.mark.parametrize("stops", STOPS)
def test_stream_workers_that_are_stopped_in_a_churn_end_well(
    settings: Settings, model_folder: Path, monkeypatch: pytest.MonkeyPatch, stops: int
) -> None:
    members = _Members(monkeypatch)
    posts = _Posts(settings)
    model = Predictor.load(str(model_folder), settings)

    def worker(number: int) -> tuple[threading.Event, Callable[[], Any]]:
        one = Worker(settings, lambda: model, name=str(number % AT_ONCE))
        return one.stop, one.run

    _stop_in_a_churn(settings, "predict", stops, posts, worker, members)
    Worker(settings, lambda: model).run(until_idle=2)
    predicted = read(settings, posts.topics.predictions, len(posts.ids))
    assert Counter(record.key for record in predicted) == Counter(posts.ids)
