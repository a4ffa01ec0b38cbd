"""The stream worker: the same answers as REST, exactly once, hot swap, clean ends."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry

from covla.errors import CovlaError, Refused
from covla.kafka import clients, dead_letters
from covla.posts.synthetic.generate import generate
from covla.schemas.post import SocialPost
from covla.schemas.prediction import Prediction
from covla.settings import Settings
from services.prediction_metrics import PredictionMetrics
from services.stream import Worker, run
from services.stream_results import results_of

START = datetime(2026, 5, 1, tzinfo=UTC)


def _synthetic(count: int, seed: int = 5) -> list[SocialPost]:
    return [item.post for item, _ in generate(count, seed, START, START + timedelta(hours=1))]


def _send(settings: Settings, values: dict[str, bytes | None]) -> None:
    topics = clients.ensure_topics(settings)
    client = clients.producer(settings)
    sent = [client.send(topics.posts, key=k.encode(), value=v) for k, v in values.items()]
    client.flush()
    for future in sent:
        future.get(timeout=20)
    client.close()


def _read(settings: Settings, topic: str, count: int) -> list[Any]:
    """Every committed record: waits until `count` are there, then for what should not be."""
    client = clients.consumer(settings, topic, group=None)
    records: list[Any] = []
    deadline = time.monotonic() + 30
    while len(records) < count and time.monotonic() < deadline:
        records += [r for rows in client.poll(timeout_ms=500).values() for r in rows]
    records += [r for rows in client.poll(timeout_ms=500).values() for r in rows]
    client.close()
    return records


def test_a_bad_record_never_fails_its_neighbours(echo: Any, offline_settings: Settings) -> None:
    values = [
        b'{"post_id": "a", "created_at": "2026-05-01T12:00:00Z", "text": "fine"}',
        b"{bad",
        b'{"post_id": "b", "created_at": "2026-05-01T12:00:00Z", "text": "refuse"}',
        None,
        b'{"post_id": "c", "created_at": "2026-05-01T12:00:00Z", "text": "fine too"}',
    ]
    records = [
        SimpleNamespace(topic="t", partition=0, offset=i, key=None, value=value, headers=[])
        for i, value in enumerate(values)
    ]
    results = results_of(records, echo, offline_settings)
    assert [r.post_id if isinstance(r, Prediction) else r.stage for r in results] == [
        "a", "parse", "decode", "parse", "c",
    ]  # fmt: skip
    letters = [r for r in results if isinstance(r, dead_letters.DeadLetter)]
    assert [letter.value for letter in letters] == [values[1], values[2], values[3]]
    assert echo.batches == [3]


def test_a_worker_name_that_kafka_would_refuse(offline_settings: Settings) -> None:
    with pytest.raises(CovlaError, match="--worker"):
        run(offline_settings, "x", group="g", name="a b", until_idle=0, limit=1, say=print)


def _gates_of_both_sides_lie_apart_from_those_of_one(
    registry: CollectorRegistry, posts: dict[str, bytes]
) -> None:
    with_image = sum(b'"image"' in value for value in posts.values())
    for modalities, count, gate in (("text+image", with_image, 0.25), ("text", None, 1.0)):
        labels = {"modalities": modalities}
        seen = registry.get_sample_value("covla_gate_count", labels)
        assert seen == (300 - with_image if count is None else count)
        assert registry.get_sample_value("covla_gate_sum", labels) == pytest.approx(gate * seen)
    assert registry.get_sample_value("covla_model_info", {"version": "echo-2"}) == 1


@pytest.mark.slow
def test_a_new_version_takes_over_between_batches(settings: Settings, echo: Any) -> None:
    posts = {post.post_id: post.to_json() for post in _synthetic(300)}
    _send(settings, posts)

    def current() -> Any:
        echo.version = "echo-1" if len(echo.batches) < 2 else "echo-2"
        return echo

    metrics = PredictionMetrics(CollectorRegistry())
    done = Worker(settings, current, metrics=metrics).run(until_idle=1)
    assert (done.predictions, done.dead_letters) == (300, 0)
    _gates_of_both_sides_lie_apart_from_those_of_one(metrics.registry, posts)
    records = _read(settings, clients.Topics.of(settings).predictions, 300)
    versions = {Prediction.from_json(record.value).model_version for record in records}
    assert versions == {"echo-1", "echo-2"}
    assert sorted(record.key.decode() for record in records) == sorted(posts)


class SlowToSend(Prediction):
    """The broker's answer to the first send is there before the last one."""

    def to_json(self) -> bytes:
        time.sleep(0.05)
        return super().to_json()


@pytest.mark.slow
@pytest.mark.parametrize("answer", [Prediction, SlowToSend])
def test_a_second_worker_of_the_same_name_fences_the_first(
    settings: Settings, echo: Any, answer: type[Prediction]
) -> None:
    echo.answer = answer
    posts = {post.post_id: post.to_json() for post in _synthetic(40)}
    _send(settings, posts)
    reached = threading.Event()

    def held() -> Any:
        reached.set()
        return echo

    first = Worker(settings, held)
    errors: list[BaseException] = []

    def work() -> None:
        try:
            first.run(until_idle=5)
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    echo.gate.clear()  # the first worker hangs in its first batch
    zombie = threading.Thread(target=work)
    zombie.start()
    assert reached.wait(30)
    other = type(echo)()
    done = Worker(settings, lambda: other).run(until_idle=2)
    echo.gate.set()
    zombie.join(timeout=60)
    assert done.predictions == 40
    assert first.stats.posts == 0
    assert isinstance(errors[0], Refused)
    assert len(_read(settings, clients.Topics.of(settings).predictions, 40)) == 40


@pytest.fixture
def warm(settings: Settings, kafka: Settings) -> Settings:
    """A state folder for all tests: the networks are compiled once."""
    return settings.model_copy(update={"state": kafka.state})


@pytest.fixture
def rest(warm: Settings, model_folder: Path) -> Iterator[str]:
    """The address of a REST service on the same model."""
    command = ["serve", "--model", str(model_folder), "--port", "0", "--json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "covla.cli", *command],
        env=warm.environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    try:
        yield str(json.loads(line)["address"])
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
        process.stdout.close()
    assert process.returncode == 0


@pytest.mark.slow
def test_rest_and_stream_give_the_same_answers_bit_for_bit(
    warm: Settings, rest: str, model_folder: Path, run_command: Any
) -> None:
    posts = _synthetic(60)
    text_only = posts[0].model_copy(update={"post_id": "text-only", "image": None})
    image_only = posts[1].model_copy(update={"post_id": "image-only", "text": ""})
    posts = [*(p for p in posts if p.text), text_only, image_only]
    assert text_only.text
    assert image_only.image
    _send(warm, {post.post_id: post.to_json() for post in posts})
    command = ("stream", "--model", model_folder, "--io-workers", 2, "--until-idle", 2, "--json")
    done = run_command(warm, *command).json  # REST prepares posts in threads
    assert (done["predictions"], done["dead_letters"]) == (len(posts), 0)
    assert done["posts_per_second"] > 0
    records = _read(warm, clients.Topics.of(warm).predictions, len(posts))
    streamed = {r.key.decode(): Prediction.from_json(r.value).answer() for r in records}
    served = {}
    with httpx.Client(base_url=rest, timeout=30) as client:
        for i, post in enumerate(posts):  # singly and in batches of different sizes
            if i < 20:
                body = client.post("/predict", content=post.to_json()).content
                served[post.post_id] = Prediction.from_json(body).answer()
        for first in range(20, len(posts), 7):
            chunk = posts[first : first + 7]
            body = b"[" + b",".join(post.to_json() for post in chunk) + b"]"
            for row in client.post("/predict_batch", content=body).json():
                served[row["post_id"]] = Prediction.from_dict(row).answer()
    assert served == streamed
