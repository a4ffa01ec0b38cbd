"""Prometheus metrics of the REST service."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from services.rest_queue import Answer

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_TENTHS = tuple(i / 10 for i in range(1, 11))


class Metrics:
    """Counts what comes in and what goes out. Every label has few, fixed values: a client cannot
    fill the memory by asking for ever new paths, as it can with BentoML's own."""

    def __init__(self, waiting: Callable[[], int]) -> None:
        self._waiting = waiting
        self._registry = made = CollectorRegistry()
        self._requests = Counter(
            "covla_requests", "Requests answered", ["route", "status"], registry=made
        )
        self._seconds = Histogram(
            "covla_request_seconds", "Time to answer", ["route"], registry=made, buckets=_SECONDS
        )
        self._predictions = Counter(
            "covla_predictions", "Predictions given", ["label"], registry=made
        )
        self._gate = Histogram(
            "covla_gate", "Share of text in the fused vector", registry=made, buckets=_TENTHS
        )
        self._confidence = Histogram(
            "covla_confidence", "Largest probability", registry=made, buckets=_TENTHS
        )
        self._flags = Counter("covla_flags", "Predictions by flag", ["flag"], registry=made)
        self._errors = Counter(
            "covla_errors", "Requests and posts refused", ["code"], registry=made
        )
        self._queue = Gauge("covla_queue_posts", "Posts waiting for the model", registry=made)
        self._model = Gauge("covla_model_info", "1 for what serves", ["version"], registry=made)

    def request(self, route: str, status: int, seconds: float) -> None:
        """A request was answered."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def refused(self, code: str) -> None:
        """A request, or one post of it, got an error."""
        self._errors.labels(code).inc()

    def serves(self, version: str) -> None:
        """`version` is what answers now."""
        self._model.clear()
        self._model.labels(version).set(1)

    def answered(self, answer: Answer) -> None:
        """The model answered."""
        self.serves(answer.version)
        for result in answer.results:
            if isinstance(result, Exception):
                self.refused(result.code)
                continue
            self._predictions.labels(result.label).inc()
            self._gate.observe(result.gate)
            self._confidence.observe(max(result.probabilities.values()))
            for flag in result.flags:
                self._flags.labels(flag).inc()

    def text(self) -> bytes:
        """Everything, in Prometheus' text format."""
        self._queue.set(self._waiting())
        return generate_latest(self._registry)
