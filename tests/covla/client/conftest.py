"""A server that answers what a test tells it, and both clients by one set of names."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from covla.client import AsyncClient, Client
from covla.settings import get_settings

Answer = tuple[int, dict[str, str], Any]  # status, headers, JSON or bytes


@dataclass
class Scripted:
    """Answers in turn, the last one again and again; keeps what came."""

    answers: list[Answer] = field(default_factory=list)
    asked: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    address: str = ""
    trickle: float = 0.0  # seconds between two bytes of a body

    def answer(self, status: int, body: Any, **headers: str) -> None:
        """The next answer."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answers.append((status, named, body))


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    script = Scripted()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            script.asked.append((self.path, headers, json.loads(content)))
            status, more, body = script.answers[0]
            if len(script.answers) > 1:
                script.answers.pop(0)
            raw = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in (more | {"Content-Length": str(len(raw))}).items():
                self.send_header(name, value)
            self.end_headers()
            try:
                for at in range(len(raw)) if script.trickle else ():
                    self.wfile.write(raw[at : at + 1])
                    time.sleep(script.trickle)
                if not script.trickle:
                    self.wfile.write(raw)
            except OSError:
                pass  # the client left, as it should

        def log_message(self, format: str, *args: Any) -> None:
            """No line for each request."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    script.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield script
    server.shutdown()
    thread.join(timeout=10)
    server.server_close()


class Both:
    """A client by what it is asked; `AsyncClient` runs a loop for each call."""

    def __init__(self, kind: type[Client] | type[AsyncClient], *args: Any, **options: Any) -> None:
        self._make: Callable[[], Any] = lambda: kind(*args, **options)
        self._make()._http  # noqa: B018  (what cannot be used is said here)

    def predict(self, post: Any) -> Any:
        return self._call("predict", post)

    def explain(self, post: Any) -> Any:
        return self._call("explain", post)

    def predict_many(self, posts: Iterable[Any]) -> list[Any]:
        client = self._make()
        if isinstance(client, Client):
            with client:
                return list(client.predict_many(posts))

        async def every() -> list[Any]:
            async with client:
                return [result async for result in client.predict_many(posts)]

        return asyncio.run(every())

    def _call(self, name: str, post: Any) -> Any:
        client = self._make()
        if isinstance(client, Client):
            with client:
                return getattr(client, name)(post)

        async def one() -> Any:
            async with client:
                return await getattr(client, name)(post)

        return asyncio.run(one())


@pytest.fixture(params=[Client, AsyncClient], ids=["sync", "async"])
def client_of(request: pytest.FixtureRequest) -> Callable[..., Both]:
    """`client_of(address, api_key=..., timeout=..., deadline=...)`, of either kind."""
    return lambda *args, **options: Both(request.param, *args, **options)


@pytest.fixture(autouse=True)
def _own_settings() -> Iterator[None]:
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


@pytest.fixture
def prediction() -> dict[str, Any]:
    """A prediction as the service sends it."""
    return {
        "schema_version": 1,
        "prediction_id": "1",
        "post_id": "p-1",
        "label": "home",
        "probabilities": {"home": 0.75, "shop": 0.25},
        "gate": 1.0,
        "modalities": ["text"],
        "quality": {},
        "flags": ["image_missing"],
        "model_version": "3",
        "predicted_at": "2026-05-01T12:00:00Z",
        "latency_ms": 1.5,
    }
