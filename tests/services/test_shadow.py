"""The shadow answers beside the champion, within its budget, and changes nothing for it."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kafka.structs import TopicPartition
from prometheus_client import CollectorRegistry

from covla.kafka import clients
from covla.registry.rollout import Rollouts
from covla.schemas.post import SocialPost
from covla.schemas.prediction import Prediction
from covla.settings import Settings
from covla.times import now
from services import shadow as module
from services.rollout_metrics import register_rollout
from services.shadow import Budget, Shadow, ShadowFollower, difference, shadowing
from services.stream import Worker, run
from tests.covla.conftest import untrained_tiny
from tests.services.test_stream import _read, _send


class Counts:
    """What the metrics of this process grew by."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        register_rollout(self._registry)
        self._before = self._all()

    def _all(self) -> dict[str, float]:
        return {
            f"{sample.name} {sample.labels.get('reason', '')}".strip(): sample.value
            for metric in self._registry.collect()
            for sample in metric.samples
            if sample.name.startswith("covla_shadow") and "le" not in sample.labels
        }

    def __call__(self, name: str) -> float:
        return self._all().get(f"covla_shadow_{name}", 0) - self._before.get(
            f"covla_shadow_{name}", 0
        )


@pytest.fixture
def counts() -> Counts:
    return Counts()


@pytest.fixture
def other(echo: Any) -> Any:
    """Another version of the model."""
    other = type(echo)()
    other.version = "echo-2"
    return other


def posts(count: int, text: str = "fine") -> list[SocialPost]:
    return [SocialPost(post_id=f"p{i}", created_at=now(), text=text) for i in range(count)]


def answered(model: Any, items: list[SocialPost]) -> list[tuple[Any, Prediction]]:
    """Records and the champion's predictions."""
    return [
        (
            SimpleNamespace(
                topic="t", partition=0, offset=i, key=None, value=post.to_json(), headers=[]
            ),
            prediction,
        )
        for i, (post, prediction) in enumerate(zip(items, model.predict(items), strict=True))
    ]


def wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def started(settings: Settings, model: Any, budget: Budget | None = None) -> tuple[Shadow, list]:  # type: ignore[type-arg]
    written: list[Prediction] = []

    def write(prediction: Prediction, done: Callable[[BaseException | None], None]) -> None:
        written.append(prediction)
        done(None)

    return Shadow(settings, lambda: model, write, budget=budget), written


def test_a_budget_is_a_share_of_the_time() -> None:
    at = [100.0]
    budget = Budget(0.25, clock=lambda: at[0])
    assert budget.left
    budget.spend(2.0)  # a second was saved up
    assert not budget.left
    at[0] += 3.9
    assert not budget.left
    at[0] += 0.2
    assert budget.left
    at[0] += 1000
    budget.spend(module.BURST_SECONDS)
    assert not budget.left


def test_probabilities_are_compared_label_by_label() -> None:
    assert difference({"a": 0.6, "b": 0.4}, {"a": 0.6, "b": 0.4}) == 0
    assert difference({"a": 1.0}, {"b": 1.0}) == 1
    assert difference({"a": 0.6, "b": 0.4}, {"a": 0.5, "b": 0.5}) == pytest.approx(0.1)


def test_what_it_answers_is_compared(
    echo: Any, other: Any, offline_settings: Settings, counts: Counts
) -> None:
    def contrary(**fields: Any) -> Prediction:
        return Prediction(**fields | {"label": "shop", "probabilities": {"home": 0.0, "shop": 1.0}})

    other.answer = contrary
    shadow, written = started(offline_settings, other, Budget(1))
    shadow.offer(answered(echo, posts(10)))
    shadow.close()
    assert [one.post_id for one in written] == [f"p{i}" for i in range(10)]
    assert {one.model_version for one in written} == {"echo-2"}
    assert (counts("posts_total"), counts("disagreements_total")) == (10, 10)
    mean = counts("probability_difference_sum") / counts("probability_difference_count")
    assert mean == pytest.approx(0.5 + 4 / 25)


@pytest.mark.slow
def test_over_its_budget_posts_are_dropped_and_counted(
    echo: Any, other: Any, offline_settings: Settings, counts: Counts
) -> None:
    predict = other.predict

    def slow(items: Any) -> Any:
        time.sleep(0.05)
        return predict(items)

    other.predict = slow
    shadow, written = started(offline_settings, other, Budget(0.2))
    begun = time.monotonic()
    offered = 0
    while time.monotonic() < begun + 8:
        shadow.offer(answered(echo, posts(1)))
        offered += 1
        time.sleep(0.01)
    worked = 0.05 * len(written)
    assert worked <= module.BURST_SECONDS + 0.2 * (time.monotonic() - begun) + 0.1
    assert worked > 0.5
    shadow.close()
    dropped = sum(counts(f"dropped_total {reason}") for reason in ("budget", "full", "closed"))
    assert counts("dropped_total budget") > 0
    assert counts("posts_total") + dropped == offered


def test_more_than_it_has_room_for_is_dropped(
    echo: Any, other: Any, offline_settings: Settings, counts: Counts, monkeypatch: Any
) -> None:
    monkeypatch.setattr(module, "CLOSE_SECONDS", 0.2)
    other.gate.clear()
    shadow, _ = started(offline_settings, other)
    items = answered(echo, posts(module.WAITING_POSTS + 10))
    shadow.offer(items[:1])
    wait(lambda: not shadow._waiting)  # at work on the first one
    shadow.offer(items[1:])
    assert counts("dropped_total full") == 9
    monkeypatch.setattr(module, "WAITING_BYTES", 0)
    shadow.offer(items[:3])
    assert counts("dropped_total full") == 12
    shadow.close()
    assert counts("dropped_total closed") == module.WAITING_POSTS
    other.gate.set()


def test_it_begins_no_post_while_the_champion_predicts(
    echo: Any, other: Any, offline_settings: Settings
) -> None:
    shadow, written = started(offline_settings, other)
    with shadow.aside():
        shadow.offer(answered(echo, posts(3)))
        time.sleep(0.3)
        assert other.batches == []
    wait(lambda: len(written) == 3)
    shadow.close()


def test_one_that_fails_rests_and_says_so(
    echo: Any, other: Any, offline_settings: Settings, counts: Counts, caplog: Any
) -> None:
    shadow, written = started(offline_settings, other)
    shadow.offer(answered(echo, posts(1)))
    wait(lambda: len(written) == 1)
    other.answer = None  # not callable
    shadow.offer(answered(echo, posts(1)))
    wait(lambda: counts("dropped_total failed") == 1)
    shadow.offer(answered(echo, posts(5)))
    assert counts("dropped_total paused") == 5
    assert "the shadow fails, and rests for 60 s" in caplog.text
    shadow.close()


def committed(settings: Settings, worker: Worker) -> dict[Any, int]:
    """The offsets of the worker's group."""
    group = f"{settings.topic_prefix}.{worker.group}"
    client = clients.consumer(settings, worker.topics.posts, group=group)
    parts = client.partitions_for_topic(worker.topics.posts) or set()
    places = [TopicPartition(worker.topics.posts, part) for part in parts]
    found = {place.partition: client.committed(place) for place in places}
    client.close()
    return found


@pytest.mark.slow
@pytest.mark.parametrize("what", ["none", "fails", "hangs", "works"])
def test_the_champion_answers_the_same_whatever_the_shadow_does(
    settings: Settings, echo: Any, other: Any, what: str, monkeypatch: Any
) -> None:
    monkeypatch.setattr(module, "CLOSE_SECONDS", 3.0)
    items = posts(150)
    _send(settings, {post.post_id: post.to_json() for post in items})
    if what == "hangs":
        other.gate.clear()
    if what == "fails":
        other.answer = None
    topics = clients.Topics.of(settings)
    worker = Worker(settings, lambda: echo)
    with shadowing(settings) as shadow:
        shadow._current = lambda: None if what == "none" else other
        worker.shadow = shadow
        done = worker.run(until_idle=1)
    other.gate.set()
    assert (done.predictions, done.dead_letters, done.restarts) == (150, 0, 0)
    records = _read(settings, topics.predictions, 150)
    given = {r.key.decode(): Prediction.from_json(r.value).answer() for r in records}
    assert len(records) == 150
    assert given == {p.post_id: p.answer() for p in echo.predict(items)}
    assert sum(committed(settings, worker).values()) == 150
    theirs = _read(settings, topics.shadow, 150 if what == "works" else 0)
    versions = {Prediction.from_json(r.value).model_version for r in theirs}
    assert versions == ({"echo-2"} if what == "works" else set())


@pytest.fixture
def registry(settings: Settings, tmp_path: Path) -> Iterator[Rollouts]:
    """Version 1 is the champion, version 2 the shadow."""
    registry = Rollouts(settings.model_copy(update={"shadow_cpu_share": 1.0}))
    for seed in (0, 1):
        registry.register(untrained_tiny(tmp_path / str(seed), seed))
    registry.promote("1", force=True)
    registry.start_shadow("2")
    return registry


@pytest.mark.slow
def test_a_real_worker_has_the_registrys_shadow(registry: Rollouts, counts: Counts) -> None:
    settings = registry.settings
    items = posts(60)

    def send() -> None:
        wait(lambda: module.ROLES.shadow == "2")
        _send(settings, {post.post_id: post.to_json() for post in items})

    sender = threading.Thread(target=send)
    sender.start()
    run(settings, "champion", group="g", name=None, until_idle=60, limit=60, say=print)
    sender.join()
    topics = clients.Topics.of(settings)
    assert len(_read(settings, topics.predictions, 60)) == 60
    theirs = [Prediction.from_json(r.value) for r in _read(settings, topics.shadow, 60)]
    assert {one.model_version for one in theirs} == {"2"}
    assert sorted(p.post_id for p in theirs) == sorted(p.post_id for p in items)
    assert counts("posts_total") == counts("probability_difference_count") == 60


@pytest.mark.slow
def test_a_shadow_is_taken_up_and_off(registry: Rollouts) -> None:
    follower = ShadowFollower(registry.settings)
    assert follower.check()
    assert not follower.check()
    registry.end("shadow")
    assert follower.check()
    assert follower.current() is None
    registry.start_shadow("2")
    folder = registry.resolve("2")[1]
    stored = [p for p in registry.settings.state.rglob("manifest.json") if folder != p.parent]
    for path in stored:
        path.write_bytes(path.read_bytes() + b" ")
    (folder / "model.safetensors").unlink()
    follower.look()
    assert follower.current() is None
    assert follower.error is not None
