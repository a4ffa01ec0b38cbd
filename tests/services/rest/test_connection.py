"""Clients that leave before they have an answer, over real connections."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import uvicorn

from covla.settings import Settings
from services.rest.app import Api
from services.rest.explain import Explanations
from services.rest.queue import PredictionQueue


@pytest.fixture
def api(echo: Any, offline_settings: Settings) -> Iterator[Api]:
    api = Api(offline_settings)
    api.queue = PredictionQueue(lambda: echo, capacity=2, batch_size=1)
    api.explanations = Explanations(echo.explain)
    yield api
    echo.gate.set()
    api.close()


@pytest.fixture
def port(api: Api) -> Iterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(api.application(), log_config=None))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    yield listener.getsockname()[1]
    server.should_exit = True
    thread.join()


def until(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.01)


def ask(port: int, post: dict[str, Any], route: str = "/predict") -> socket.socket:
    body = json.dumps(post).encode()
    connection = socket.create_connection(("127.0.0.1", port))
    head = f"POST {route} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body)
    return connection


def test_a_client_that_left_frees_its_place(
    echo: Any, api: Api, port: int, a_post: dict[str, Any]
) -> None:
    echo.gate.clear()
    first = ask(port, a_post)
    until(lambda: api.queue.waiting == 1)
    second = ask(port, a_post)
    until(lambda: api.queue.waiting == 2)
    address = f"http://127.0.0.1:{port}"
    assert httpx.post(f"{address}/predict", json=a_post).status_code == 429
    second.close()
    until(lambda: api.queue.waiting == 1)
    third = ask(port, a_post)
    until(lambda: api.queue.waiting == 2)
    echo.gate.set()
    for connection in (first, third):
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
        connection.close()
    assert echo.batches == [1, 1]
    metrics = httpx.get(f"{address}/metrics").text
    assert 'covla_requests_total{route="/predict",status="499"} 1.0' in metrics
    assert 'covla_errors_total{code="client_left"} 1.0' in metrics
    free = api._free_bytes
    until(lambda: api._free_bytes == free)


def test_one_connection_carries_many_requests(port: int, a_post: dict[str, Any]) -> None:
    """Watching a connection takes nothing from the request that comes next on it."""
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        statuses = {client.post("/predict", json=a_post).status_code for _ in range(50)}
        assert statuses == {200}
        assert client.post("/predict_batch", json=[a_post, a_post]).status_code == 200
