"""A webhook to post to: a real HTTP server that answers as a test wants it to."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from pydantic import SecretStr

from covla.settings import Settings


@dataclass
class Webhook:
    """What it is to answer, and what came."""

    server: ThreadingHTTPServer
    answers: list[int] = field(default_factory=list)  # one a request; then 200
    bodies: list[dict[str, Any]] = field(default_factory=list)
    hangs: threading.Event = field(default_factory=threading.Event)  # set: it does not answer
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/hooks/s3cret"

    def settings(self, settings: Settings, **more: Any) -> Settings:
        return settings.model_copy(update={"webhook_url": SecretStr(self.url), **more})


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            hook.bodies.append(json.loads(body))
            if hook.hangs.is_set():
                hook.ended.wait(60)
                return
            self.send_response(hook.answers.pop(0) if hook.answers else 200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    hook = Webhook(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
    thread = threading.Thread(target=hook.server.serve_forever)
    thread.start()
    try:
        yield hook
    finally:
        hook.ended.set()
        hook.server.shutdown()
        hook.server.server_close()
        thread.join()
