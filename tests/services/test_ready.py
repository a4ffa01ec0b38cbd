"""`covla ready`: what a health check says of a service."""

import http.server
import os
import threading
from collections.abc import Iterator

import pytest

from covla.errors import CovlaError, ServiceUnavailable
from services.ready import ready
from services.stack import ports

HEALTH = b'{"scheduler": {"status": "healthy"}, "triggerer": {"status": null}}'


class _Service(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health" else 503)
        self.end_headers()
        self.wfile.write(HEALTH if self.path == "/health" else b"the model is loading")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Service) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_ready_service_is_quoted(address: str) -> None:
    assert ready(f"{address}/health") == HEALTH.decode()
    assert ready(f"{address}/health", "scheduler") == HEALTH.decode()


@pytest.mark.parametrize(
    ("path", "part", "why"),
    [
        ("/readyz", None, "answers 503: the model is loading"),
        ("/health", "triggerer", "triggerer is not running"),
        ("/health", "dag_processor", "dag_processor is not in the answer"),
    ],
)
def test_one_that_is_not_says_why(address: str, path: str, part: str | None, why: str) -> None:
    with pytest.raises(ServiceUnavailable, match=why):
        ready(address + path, part)


def test_one_that_is_not_there_is_named_by_this_hosts_name() -> None:
    port = ports.any_free()
    with pytest.raises(ServiceUnavailable, match=f"http://{os.uname().nodename}:{port}/ does not"):
        ready(f"http://$HOSTNAME:{port}/")


def test_only_http_is_asked() -> None:
    with pytest.raises(CovlaError, match="no http address"):
        ready("file:///etc/passwd")
