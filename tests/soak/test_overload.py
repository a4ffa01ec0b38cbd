"""A minute of twice what REST can do: it answers what it can in time, in bounded memory, and is
itself again five seconds later."""

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from bench.load import IN_TIME, arrivals, load
from bench.predictor import untrained
from covla.posts.synthetic import generate
from covla.settings import Settings

pytestmark = [pytest.mark.slow, pytest.mark.soak, pytest.mark.timeout(600)]
START = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, psutil.Process]]:
    """Of `base`, whose networks and not HTTP are what is short."""
    model = untrained(tmp_path / "model")
    command = ["serve", "--model", str(model), "--port", "0", "--json"]
    with subprocess.Popen(
        [sys.executable, "-m", "covla.cli", *command],
        env=Settings(state=tmp_path).environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["address"], psutil.Process(process.pid)
        process.terminate()
        assert process.wait(60) == 0


def test_a_minute_of_twice_the_load(server: tuple[str, psutil.Process]) -> None:
    address, process = server
    posts = generate(1000, 0, START, START + timedelta(days=1))
    bodies = [item.post.to_json() for item, _ in posts]

    def run(rate: float, seconds: float) -> list[tuple[int, float]]:
        times = arrivals(rate, seconds, 0, bursty=False)
        return asyncio.run(load(address, bodies, times))

    # Far above it, answers are as many as the model can do. No image is in its cache when it
    # comes again.
    pace = sum(status == 200 for status, _ in run(300, 10)) / 10
    time.sleep(5)
    before = process.memory_info().rss
    calm = run(pace / 2, 10)
    largest = 0
    answers: list[tuple[int, float]] = []
    for _ in range(6):
        answers += run(2 * pace, 10)
        largest = max(largest, process.memory_info().rss)
    time.sleep(5)
    after = run(pace / 2, 10)

    statuses = Counter(status for status, _ in answers)
    in_time = sum(status == 200 and took <= IN_TIME for status, took in answers)
    p99 = [sorted(took for _, took in found)[int(0.99 * len(found))] for found in (calm, after)]
    print(f"{pace:.0f} posts/s; {statuses}, {in_time} in time; p99 before and after {p99}")
    print(f"memory {before / 2**20:.0f} MiB before, {largest / 2**20:.0f} MiB at most")
    assert set(statuses) == {200, 429}
    assert in_time > 0.9 * statuses[200]
    assert {status for status, _ in after} == {200}
    assert largest < before + 300 * 2**20
