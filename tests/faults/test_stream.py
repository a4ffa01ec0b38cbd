"""One rig: numbered posts in, then `in == predictions | dead letters`, disjoint, once each."""

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from covla.kafka import clients
from covla.kafka.dead_letters import read
from covla.posts.synthetic.generate import generate
from covla.schemas.prediction import Prediction
from covla.settings import Settings

pytestmark = pytest.mark.slow

START = datetime(2026, 5, 1, tzinfo=UTC)
IDLE = ("--until-idle", "3", "--json")

POISON: dict[str, bytes | None] = {
    "bad-json": b'{"post_id": "p", "created_at"',
    "bad-utf8": b'{"post_id": "\xff\xfe", "text": "x"}',
    "wrong-types": b'{"post_id": 7, "created_at": "2026-05-01T00:00:00Z", "text": ["x"]}',
    "unknown-version": b'{"schema_version": 99, "post_id": "p", '
    b'"created_at": "2026-05-01T00:00:00Z", "text": "x"}',
    "null": None,
    "json-null": b"null",
    "empty": b"",
    "deep": b'{"text":' * 20_000 + b"1" + b"}" * 20_000,
    "nan": b'{"post_id": "p", "created_at": NaN, "text": "x"}',
    "huge-int": b'{"post_id": "p", "created_at": ' + b"9" * 5_000 + b', "text": "x"}',
    "no-fields": b"{}",
    "too-long": json.dumps(
        {"post_id": "p", "created_at": "2026-05-01T00:00:00Z", "text": "x" * 4001}
    ).encode(),
    "lone-surrogate": b'{"post_id": "p", "created_at": "2026-05-01T00:00:00Z", "text": "\\ud800"}',
    "web-image": b'{"post_id": "p", "created_at": "2026-05-01T00:00:00Z", "text": "x", '
    b'"image": {"uri": "http://127.0.0.1/a.png"}}',
    "not-base64": b'{"post_id": "p", "created_at": "2026-05-01T00:00:00Z", "text": "x", '
    b'"image": {"data": "!!"}}',
    "no-picture": b'{"post_id": "p", "created_at": "2026-05-01T00:00:00Z", "text": "x", '
    b'"image": {"data": "AAAA"}}',
}


class Rig:
    """Sends numbered posts, runs workers as a person does, and counts what comes out."""

    def __init__(self, settings: Settings, model: Path) -> None:
        self.settings = settings
        self.model = model
        self.topics = clients.ensure_topics(settings)
        self.sent: dict[str, bytes | None] = {}

    def send(self, posts: int, *, poison_every: int = 0) -> None:
        client = clients.producer(self.settings)
        made = generate(posts, 3, START, START + timedelta(hours=1))
        kinds = list(POISON)
        futures = []
        for i, (item, _) in enumerate(made):
            key, value = item.post.post_id, item.post.to_json()
            if poison_every and i % poison_every == 0:
                kind = kinds[(i // poison_every) % len(kinds)]
                key, value = f"{kind}-{i}", POISON[kind]  # type: ignore[assignment]
            self.sent[key] = value
            futures.append(client.send(self.topics.posts, key=key.encode(), value=value))
        client.flush()
        for future in futures:
            future.get(timeout=20)
        client.close()

    def start(self, *args: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "covla.cli", "stream", "--model", str(self.model), *args]
        return subprocess.Popen(
            command,
            env=self.settings.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def finish(self, *args: str) -> dict[str, Any]:
        worker = self.start(*IDLE, *args)
        out, _ = worker.communicate(timeout=200)
        assert worker.returncode == 0, out
        result: dict[str, Any] = json.loads(out.splitlines()[-1])
        return result

    def read(self, topic: str) -> list[Any]:
        """Every committed record."""
        client = clients.consumer(self.settings, topic, group=None)
        records: list[Any] = []
        while rows := client.poll(timeout_ms=3000):
            records += [record for batch in rows.values() for record in batch]
        client.close()
        return records

    def wait_for_predictions(self, count: int) -> None:
        """Until so many are committed: the worker is then in the middle of its work."""
        client = clients.consumer(self.settings, self.topics.predictions, group=None)
        deadline, seen = time.monotonic() + 120, 0
        while seen < count and time.monotonic() < deadline:
            seen += sum(len(rows) for rows in client.poll(timeout_ms=100).values())
        client.close()
        assert seen >= count

    def check(self) -> tuple[int, int]:
        """in == predictions | dead letters, disjoint, once each, original bytes."""
        predicted = Counter(record.key.decode() for record in self.read(self.topics.predictions))
        letters = self.read(self.topics.dead_letters)
        dead = Counter(record.key.decode() for record in letters)
        assert set(predicted) | set(dead) == set(self.sent)
        assert not set(predicted) & set(dead)
        assert max((predicted + dead).values()) == 1
        assert all(record.value == self.sent[record.key.decode()] for record in letters)
        return len(predicted), len(dead)


@pytest.fixture
def rig(settings: Settings, kafka: Settings, model_folder: Path) -> Rig:
    # One state folder for all: the networks are compiled once.
    return Rig(settings.model_copy(update={"state": kafka.state}), model_folder)


def test_poison_messages_become_dead_letters_with_their_bytes(rig: Rig) -> None:
    rig.send(320, poison_every=20)
    done = rig.finish()
    assert (done["predictions"], done["dead_letters"]) == rig.check() == (304, 16)
    letters = [read(record) for record in rig.read(rig.topics.dead_letters)]
    assert {letter.key.decode().rsplit("-", 1)[0] for letter in letters if letter.key} == set(
        POISON
    )
    for letter in letters:
        assert letter.source_topic == rig.topics.posts
        assert letter.error_class
        assert letter.error_message
        of_image = letter.key is not None and letter.key.startswith((b"not-base64", b"no-picture"))
        assert letter.stage == ("decode" if of_image else "parse")


def test_a_worker_killed_in_its_work_loses_nothing_and_repeats_nothing(rig: Rig) -> None:
    rig.send(500, poison_every=50)
    for committed in (64, 200):
        worker = rig.start()
        rig.wait_for_predictions(committed)
        worker.kill()
        worker.communicate(timeout=20)
    rig.finish()
    assert rig.check() == (490, 10)


def test_two_workers_one_killed(rig: Rig) -> None:
    rig.send(400)
    doomed = rig.start("--worker", "a")
    other = rig.start("--worker", "b", *IDLE)
    rig.wait_for_predictions(64)
    doomed.kill()
    doomed.communicate(timeout=20)
    out, _ = other.communicate(timeout=200)
    assert other.returncode == 0, out
    rig.finish("--worker", "a")
    assert rig.check() == (400, 0)


def test_sigterm_commits_the_batch_at_hand_and_ends_with_0(rig: Rig) -> None:
    rig.send(400)
    worker = rig.start("--json")
    rig.wait_for_predictions(64)
    worker.send_signal(signal.SIGTERM)
    out, _ = worker.communicate(timeout=60)
    assert worker.returncode == 0
    first = json.loads(out.splitlines()[-1])["predictions"]
    assert 0 < first < 400
    versions = {
        Prediction.from_json(r.value).model_version for r in rig.read(rig.topics.predictions)
    }
    assert len(versions) == 1
    assert rig.finish()["predictions"] == 400 - first  # nothing of the first run is done again
    assert rig.check() == (400, 0)
