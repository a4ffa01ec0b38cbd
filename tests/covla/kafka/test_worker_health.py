"""What a worker's /readyz and /metrics answer, asked over HTTP."""

import socket
import time
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry

from covla.errors import CovlaError
from covla.kafka import worker_health
from covla.kafka.worker_health import WorkerHealth
from covla.settings import Settings
from services.stack import ports


def _served(settings: Settings) -> tuple[WorkerHealth, str]:
    health = WorkerHealth(settings, "stream", CollectorRegistry(), why="loading the model")
    port = ports.any_free()
    health.serve(settings.host, port)
    return health, f"http://{settings.host}:{port}"


def _ready(address: str) -> tuple[int, dict[str, Any]]:
    answer = httpx.get(f"{address}/readyz", trust_env=False)
    return answer.status_code, answer.json()


def test_a_worker_that_has_not_polled_says_why(offline_settings: Settings) -> None:
    health, address = _served(offline_settings)
    assert _ready(address) == (503, {"ready": False, "why": "loading the model", "lag": {}})
    health.waits("there is no champion yet")
    assert _ready(address)[1]["why"] == "there is no champion yet"
    assert "covla_ready 0.0" in httpx.get(f"{address}/metrics", trust_env=False).text


def test_a_worker_whose_broker_is_away_is_not_ready(offline_settings: Settings) -> None:
    bootstrap = f"127.0.0.1:{ports.any_free()}"
    settings = offline_settings.model_copy(update={"kafka_bootstrap": bootstrap})
    health, address = _served(settings)
    health.polled({})
    assert _ready(address)[0] == 503
    assert _ready(address)[1]["why"] == f"no Kafka broker answers at {bootstrap}"


def test_a_local_broker_that_was_stopped_is_no_stack_trace(offline_settings: Settings) -> None:
    health, address = _served(offline_settings)
    health.polled({})
    assert _ready(address) == (503, {"ready": False, "why": "no Kafka broker answers", "lag": {}})


@pytest.mark.slow
def test_a_worker_that_polls_is_ready_and_tells_its_lag(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    health, address = _served(settings)
    health.polled({"covla.posts": 7})
    assert _ready(address) == (200, {"ready": True, "why": None, "lag": {"covla.posts": 7}})
    metrics = httpx.get(f"{address}/metrics", trust_env=False).text
    assert "covla_ready 1.0" in metrics
    assert 'covla_stream_lag{topic="covla.posts"} 7.0' in metrics
    monkeypatch.setattr(worker_health, "POLL_SECONDS", 0.1)
    time.sleep(0.2)
    assert _ready(address)[0] == 503
    assert "no poll for" in _ready(address)[1]["why"]


def test_a_metrics_port_that_is_taken_is_named(offline_settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        health = WorkerHealth(offline_settings, "stream", CollectorRegistry())
        with pytest.raises(CovlaError, match=f"{port}: .*--metrics-port"):
            health.serve(offline_settings.host, port)
