"""Prometheus metrics of the REST service."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from covla.errors import PostError
from services.prediction_metrics import PredictionMetrics
from services.rest.queue import Answer


class Metrics(PredictionMetrics):
    """Counts what comes in and what goes out. Every label has few, fixed values: a client cannot
    fill the memory by requesting ever new paths, as it can with BentoML's own."""

    def __init__(self, waiting: Callable[[], int], ready: Callable[[], bool]) -> None:
        """`waiting` gives the posts in the queue, `ready` what /readyz reports."""
        registry = CollectorRegistry()
        self._waiting, self._ready = waiting, ready
        self._requests = Counter(
            "covla_requests", "Requests answered", ["route", "status"], registry=registry
        )
        buckets = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
        self._seconds = Histogram(
            "covla_request_seconds", "Time to answer", ["route"], registry=registry, buckets=buckets
        )
        super().__init__(registry)
        self._queue = Gauge("covla_queue_posts", "Posts waiting for the model", registry=registry)
        self._is_ready = Gauge("covla_ready", "1 while the model answers", registry=registry)

    def request(self, route: str, status: int, seconds: float) -> None:
        """A request was answered."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def results(self, answer: Answer) -> None:
        """The model answered a request."""
        self.serves(answer.version)
        for result in answer.results:
            if isinstance(result, PostError):
                self.refused(result.code)
            else:
                self.answered([result])

    def text(self) -> bytes:
        """Everything, in Prometheus' text format."""
        self._queue.set(self._waiting())
        self._is_ready.set(self._ready())
        return generate_latest(self.registry)
