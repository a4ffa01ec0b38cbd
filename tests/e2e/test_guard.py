"""A bad version that was forced through, with REST, stream and ingest running: it is back out
without a hand, and both entrances follow."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from covla.kafka import clients
from covla.registry.registry import Registry
from covla.schemas.label import PostLabel
from covla.schemas.post import SocialPost
from covla.schemas.prediction import Prediction
from covla.settings import Settings
from covla.time_range import TimeRange
from covla.times import now
from covla.waiting import wait_until
from features.lake import Lake
from tests.conftest import RunCommand
from tests.features.posts import make_post
from tests.monitoring.guard.bad_version import with_other_labels

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

WORDS = ("coffee", "beach sand", "leg day #gym", "new shoes", "at home", "train late", "museum")


def posts(name: str) -> list[SocialPost]:
    return [
        make_post(i, post_id=f"{name}-{i}", text=f"{WORDS[i % 7]} {i}", image=i % 3 > 0)
        for i in range(60)
    ]


class Running:
    """REST, stream and ingest as processes, and what goes in and comes out of them."""

    def __init__(self, settings: Settings, processes: ExitStack) -> None:
        self.settings = settings
        self.topics = clients.ensure_topics(settings)
        self._producer = clients.producer(settings)
        self._processes = processes
        served = self._start("serve", "--port", "0", "--json")
        self._start("stream")
        self._start("ingest")
        assert served.stdout is not None
        self.rest = str(json.loads(served.stdout.readline())["address"])

    def _start(self, *command: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "covla.cli", *command],
            env=self.settings.environment(),
            stdout=subprocess.PIPE,
            text=True,
        )
        self._processes.callback(process.communicate, timeout=30)
        self._processes.callback(process.kill)
        return process

    def send(self, topic: str, records: list[Any]) -> None:
        for record in records:
            self._producer.send(topic, key=record.post_id.encode(), value=record.to_json())
        self._producer.flush()

    def version_over_rest(self) -> str:
        body = httpx.post(f"{self.rest}/predict", content=posts("rest")[0].to_json(), timeout=30)
        return Prediction.from_json(body.content).model_version

    def kept(self, table: str, version: str | None = None) -> list[dict[str, Any]]:
        """Rows of the lake, of a model version."""
        ever = TimeRange(self.settings.earliest_time, now())
        rows = Lake(self.settings).read(table, ever).to_pylist()
        return [row for row in rows if version in (None, row.get("model_version"))]

    def seconds_until(self, done: Callable[[], bool], what: str) -> float:
        started = time.monotonic()
        wait_until(
            done, timeout=120, every=0.25, error=lambda _: AssertionError(f"not yet: {what}")
        )
        return time.monotonic() - started


@pytest.fixture
def running(settings: Settings, model_folder: Path, tmp_path: Path) -> Iterator[Running]:
    """Version 1 serves; version 2 is bad."""
    settings = settings.model_copy(update={"train_window_hours": 24 * 366})
    registry = Registry(settings)
    assert registry.register(model_folder) == "1"
    assert registry.register(with_other_labels(model_folder, tmp_path / "bad")) == "2"
    registry.promote("1", force=True)
    with ExitStack() as processes:
        yield Running(settings, processes)


def test_a_bad_version_that_was_forced_through_is_taken_back(
    running: Running, run_command: RunCommand
) -> None:
    settings, topics = running.settings, running.topics
    running.send(topics.posts, posts("before"))
    running.seconds_until(lambda: len(running.kept("predictions", "1")) == 60, "first posts")
    right = {row["post_id"].split("-")[1]: row["label"] for row in running.kept("predictions", "1")}

    assert run_command(settings, "promote", "2", "--force").returncode == 0
    rest = running.seconds_until(lambda: running.version_over_rest() == "2", "REST follows")

    def streams(version: str) -> bool:
        probe = make_post(post_id=f"probe-{time.monotonic_ns()}", text="a probe")
        running.send(topics.posts, [probe])
        return bool(running.kept("predictions", version))

    stream = running.seconds_until(lambda: streams("2"), "the stream follows")
    print(f"after the promotion: REST {rest:.1f} s, stream and lake {stream:.1f} s")

    running.send(topics.posts, posts("after"))
    labels = [
        PostLabel(
            post_id=post.post_id, label=right[post.post_id.split("-")[1]], labelled_at=now(),
            source="test",
        )
        for post in posts("after")
    ]  # fmt: skip
    running.send(topics.labels, labels)
    running.seconds_until(
        lambda: len(running.kept("predictions", "2")) >= 60 and len(running.kept("labels")) == 60,
        "posts and labels in the lake",
    )
    found = run_command(settings, "guard", "--json")
    assert found.returncode == 0, found.stderr
    assert (found.json["status"], found.json["version"]) == ("rolled back", "2"), found.json
    rest = running.seconds_until(lambda: running.version_over_rest() == "1", "REST is back")
    before = len(running.kept("predictions", "1"))

    def streams_again() -> bool:
        streams("1")
        return len(running.kept("predictions", "1")) > before

    stream = running.seconds_until(streams_again, "the stream is back")
    print(f"after the rollback: REST {rest:.1f} s, stream and lake {stream:.1f} s")
    listed = run_command(settings, "releases", "--json").json
    assert "rejected" in json.dumps(listed)
