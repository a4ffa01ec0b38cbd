"""A promotion under load: no request fails, and none is answered by a version that was replaced."""

import json
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from covla.posts.synthetic.generate import generate
from covla.registry.registry import Registry
from covla.settings import Settings
from tests.covla.conftest import untrained_tiny
from tests.services.rest.load import Load

LOAD = 0.8  # of what the service answered per second without a swap
START = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.fixture
def registry(offline_settings: Settings, tmp_path: Path) -> Registry:
    """Version 1 is the champion; version 2 is other weights."""
    registry = Registry(offline_settings)
    for seed in (0, 1):
        registry.register(untrained_tiny(tmp_path / str(seed), seed))
    registry.promote("1", force=True)
    return registry


@pytest.fixture
def address(registry: Registry) -> Iterator[str]:
    """`covla serve` as a process that follows the champion."""
    process = subprocess.Popen(
        [sys.executable, "-m", "covla.cli", "serve", "--port", "0", "--json"],
        env=registry.settings.environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield str(json.loads(process.stdout.readline())["address"])
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
        process.stdout.close()
    assert process.returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [8, pytest.param(60, marks=pytest.mark.soak)])
def test_a_promotion_under_load_fails_no_request(
    registry: Registry, address: str, seconds: int
) -> None:
    posts = generate(200, 3, START, START + timedelta(hours=1))
    load = Load(address, [item.post.to_json() for item, _ in posts])
    load.capacity(1)  # what is slow once
    rate = LOAD * load.capacity(2)
    promotion = threading.Timer(2, lambda: registry.promote("2", force=True))
    promotion.start()
    answered = load.run(seconds, rate, until="2")
    promotion.join()

    assert Counter(one.status for one in answered) == {200: len(answered)}
    assert len(answered) > 0.9 * rate * seconds
    assert {one.version for one in answered} == {"1", "2"}
    first = min(one.received for one in answered if one.version == "2")
    assert [one for one in answered if one.sent > first and one.version != "2"] == []
    waits = sorted(one.received - one.sent for one in answered)
    print(f"{rate:.0f} requests/s, p99 {waits[-len(waits) // 100]:.3f} s, most {waits[-1]:.3f} s")
