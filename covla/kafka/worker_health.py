"""What a Kafka worker answers over HTTP: /metrics for Prometheus, /readyz for a health check."""

import threading
import time
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import orjson
from prometheus_client import CollectorRegistry, Gauge, make_wsgi_app

from covla.errors import CovlaError
from covla.kafka import clients
from covla.settings import Settings

# A batch takes seconds; one that takes longer than this keeps the others waiting.
POLL_SECONDS = 60.0
# A scrape and a health check at the same time ask the broker once.
BROKER_SECONDS = 5.0


class WorkerHealth:
    """Whether a worker reads: it polled lately, and a broker answers it.

    Gauges: `covla_<worker>_lag{topic}`, messages that are not read yet, and `covla_ready`, 1 or 0.
    """

    def __init__(
        self, settings: Settings, worker: str, registry: CollectorRegistry, *, why: str = "starting"
    ) -> None:
        """`why` is the answer until the first poll."""
        self._settings = settings
        self._why = why
        self._registry = registry
        self._polled: float | None = None
        self._lag: dict[str, int] = {}
        self._broker = (0.0, True)
        self._lock = threading.Lock()
        self._gauge = Gauge(
            f"covla_{worker}_lag", "Messages not read yet", ["topic"], registry=registry
        )
        Gauge(
            "covla_ready", "1 while the worker reads and a broker answers", registry=registry
        ).set_function(lambda: float(self.problem() is None))

    def waits(self, why: str) -> None:
        """It does not read, for this reason."""
        self._why, self._polled = why, None

    def polled(self, lag: dict[str, int]) -> None:
        """A poll came back; `lag` is the number of messages left, by topic."""
        self._polled = time.monotonic()
        # Another member has the partitions of a topic that is no longer named.
        self._lag = dict.fromkeys(self._lag, 0) | lag
        for topic, messages in self._lag.items():
            self._gauge.labels(topic).set(messages)

    def problem(self) -> str | None:
        """Why it is not ready, or None."""
        polled = self._polled
        if polled is None:
            return self._why
        if (since := time.monotonic() - polled) > POLL_SECONDS:
            return f"no poll for {since:.0f} s"
        if not self._broker_answers():
            where = self._settings.kafka_bootstrap
            return "no Kafka broker answers" + (f" at {where}" if where else "")
        return None

    def _broker_answers(self) -> bool:
        with self._lock:
            at, answers = self._broker
            if time.monotonic() - at > BROKER_SECONDS:
                answers = clients.answers(self._settings)
                self._broker = (time.monotonic(), answers)
            return answers

    def serve(self, host: str, port: int) -> None:
        """Answer from a thread until this process ends.

        Raises:
            CovlaError: the port cannot be used.
        """
        metrics = make_wsgi_app(self._registry)

        def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            if environ["PATH_INFO"] != "/readyz":
                return metrics(environ, start_response)  # type: ignore[no-any-return]
            problem = self.problem()
            body = {"ready": problem is None, "why": problem, "lag": self._lag}
            status = "200 OK" if problem is None else "503 Service Unavailable"
            start_response(status, [("Content-Type", "application/json")])
            return [orjson.dumps(body)]

        try:
            server = make_server(host, port, answer, _Server, _Quiet)
        except OSError as error:
            raise CovlaError(
                f"cannot serve metrics on {host}:{port}: {error.strerror}",
                hint="Give another --metrics-port",
            ) from error
        threading.Thread(target=server.serve_forever, daemon=True).start()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """A health check every few seconds is not worth a line."""
