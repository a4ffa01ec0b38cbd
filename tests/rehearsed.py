"""docker-compose.yml as `covla up --like-compose` runs it, for tests."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pyarrow.dataset as ds
import pytest

from covla.settings import Settings
from services.compose import sandbox

ROOT = Path(__file__).parents[1]


def _why_not() -> str:
    if packages := sandbox.missing():
        return f"{', '.join(packages)} is not installed"
    done = subprocess.run([*sandbox.unshare(), "true"], capture_output=True, text=True, check=False)
    return done.stderr.strip() if done.returncode else ""


WHY_NOT = _why_not()
needs_namespaces = pytest.mark.skipif(bool(WHY_NOT), reason=f"no containers here: {WHY_NOT}")


def secrets(path: Path) -> dict[str, str]:
    """What `make env` makes."""
    script = ["sh", str(ROOT / "deploy" / "make-env.sh"), str(path)]
    subprocess.run(script, check=True, capture_output=True)
    return dict(line.split("=", 1) for line in path.read_text().splitlines())


@dataclass
class Rehearsal:
    """A running `covla up --like-compose`."""

    settings: Settings
    folder: Path
    environment: dict[str, str]
    process: "subprocess.Popen[str]"
    words: Path  # what it prints

    @property
    def status(self) -> dict[str, dict[str, Any]]:
        path = self.settings.state / "compose" / "status.json"
        found: dict[str, dict[str, Any]] = orjson.loads(path.read_bytes()) if path.exists() else {}
        return found

    def address(self, container: str, port: int) -> str:
        return f"http://{self.status[container]['ports'][str(port)]}"

    def wait(self, *containers: str, state: str = "healthy", timeout: float = 300) -> None:
        """Until all of them have this state."""
        deadline = time.monotonic() + timeout
        while True:
            states = {name: self.status.get(name, {}).get("state") for name in containers}
            if set(states.values()) == {state}:
                return
            assert self.process.poll() is None, self.words.read_text()[-3000:]
            assert time.monotonic() < deadline, f"{states}\n{self.words.read_text()[-3000:]}"
            time.sleep(0.3)

    def told(self, pattern: str, timeout: float = 120) -> str:
        """The first line that it printed which has `pattern` in it."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if found := re.search(rf"^.*{pattern}.*$", self.words.read_text(), re.MULTILINE):
                return found[0]
            time.sleep(0.2)
        raise AssertionError(f"no {pattern!r} in\n{self.words.read_text()[-3000:]}")

    def start(self, container: str, *command: str) -> "subprocess.Popen[str]":
        """`covla exec CONTAINER COMMAND`, without waiting for its end."""
        return subprocess.Popen(
            [sys.executable, "-m", "covla.cli", "exec", container, *command],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
        )

    def exec(self, container: str, *command: str, timeout: float = 180) -> str:
        """What `covla exec CONTAINER COMMAND` prints; it has to end with 0."""
        done = subprocess.run(
            [sys.executable, "-m", "covla.cli", "exec", container, *command],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@contextmanager
def rehearsal(
    settings: Settings, folder: Path, given: Mapping[str, str], *options: str
) -> Iterator[Rehearsal]:
    """`covla up --like-compose` on the Compose file of `folder`; SIGTERM ends it with 0."""
    environment = settings.environment() | dict(given)
    environment |= {"PYTHONPATH": str(ROOT)}
    words = settings.state / "words"
    words.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "covla.cli", "up", "--like-compose", "--free-ports"]
    with words.open("w") as output:
        process = subprocess.Popen(
            [*command, *options],
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
        )
    try:
        yield Rehearsal(settings, folder, environment, process, words)
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(timeout=180)
    assert code == 0, words.read_text()[-3000:]
    assert left_over(settings) == []


def left_over(settings: Settings) -> list[str]:
    """Processes that know the state folder, as an argument or in their environment."""
    found = []
    for process in Path("/proc").iterdir():
        if not process.name.isdecimal() or int(process.name) == os.getpid():
            continue
        try:
            known = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except OSError:
            continue  # it has ended
        if str(settings.state / "compose").encode() in known:
            found.append(f"{process.name}: {known[:200]!r}")
    return found


COMPARE = """
import json, time
import httpx
from covla.kafka import clients
from covla.settings import get_settings

settings = get_settings()
topics = clients.Topics.of(settings)

def values(topic):
    consumer = clients.consumer(settings, topic, group=None)
    found, until = {}, time.monotonic() + 90
    while len(found) < POSTS and time.monotonic() < until:
        for records in consumer.poll(timeout_ms=500).values():
            found |= {record.key.decode(): record.value for record in records}
    consumer.close(autocommit=False)
    return found

posts, streamed = values(topics.posts), values(topics.predictions)
differ = []
for post_id in list(streamed)[:20]:
    answer = httpx.post("http://rest:3000/predict", content=posts[post_id], timeout=60,
                        headers={"content-type": "application/json"})
    rest, stream = json.loads(answer.text), json.loads(streamed[post_id])
    own = ("predicted_at", "latency_ms")
    if any(rest.get(key) != value for key, value in stream.items() if key not in own):
        differ.append([rest, stream])
versions = sorted({json.loads(value)["model_version"] for value in streamed.values()})
print(json.dumps({"predictions": len(streamed), "versions": versions, "differ": differ}))
"""


def compare(running: Rehearsal, posts: int) -> dict[str, Any]:
    """Read every post and prediction, ask REST for twenty posts too: `predictions`, `versions`,
    and `differ`, the answers that are not those of the stream."""
    found = running.exec("rest", "python", "-c", f"POSTS = {posts}\n{COMPARE}")
    value: dict[str, Any] = json.loads(found)
    return value


def ingested(running: Rehearsal, posts: int, timeout: float = 180) -> None:
    """Wait until the lake holds so many posts: a lag of 0 may be one that is not known yet."""
    lake = running.settings.state / "compose" / "volumes" / "state" / "lake" / "posts"
    deadline = time.monotonic() + timeout
    found = 0
    while found < posts:
        assert time.monotonic() < deadline, f"{found} of {posts} posts are in the lake"
        time.sleep(0.5)
        files = [str(file) for file in lake.glob("*/*.parquet")]
        if files:
            table = ds.dataset(files).to_table(columns=["post_id"])
            found = len(set(table["post_id"].to_pylist()))
