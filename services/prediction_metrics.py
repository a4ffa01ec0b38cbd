"""Prometheus metrics of what a model answers, the same at REST and at a stream worker."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from covla.schemas.prediction import Prediction

_TENTHS = tuple(i / 10 for i in range(1, 11))


class PredictionMetrics:
    """Counts answers. Every metric label has few, fixed values."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._predictions = Counter(
            "covla_predictions", "Predictions given", ["label"], registry=registry
        )
        # By what the post had: one side alone is 0 or 1 by rule, and a change of the mix of posts
        # would look like a gate that moved.
        self._gate = Histogram(
            "covla_gate",
            "Share of text in the fused vector",
            ["modalities"],
            registry=registry,
            buckets=_TENTHS,
        )
        self._confidence = Histogram(
            "covla_confidence", "Largest probability", registry=registry, buckets=_TENTHS
        )
        self._flags = Counter("covla_flags", "Predictions by flag", ["flag"], registry=registry)
        self._errors = Counter(
            "covla_errors", "Requests and posts refused", ["code"], registry=registry
        )
        self._set_aside = Counter(
            "covla_set_aside",
            "Records of which not even a dead letter could be written",
            registry=registry,
        )
        self._model = Gauge("covla_model_info", "1 for what serves", ["version"], registry=registry)

    def serves(self, version: str) -> None:
        """`version` is what answers now."""
        self._model.clear()
        self._model.labels(version).set(1)

    def refused(self, code: str) -> None:
        """A request, or one post, got an error."""
        self._errors.labels(code).inc()

    def set_aside(self) -> None:
        """A record is a line in the state folder's set-aside.jsonl."""
        self._set_aside.inc()

    def answered(self, predictions: Iterable[Prediction]) -> None:
        """The model answered."""
        for prediction in predictions:
            self._predictions.labels(prediction.label).inc()
            self._gate.labels("+".join(prediction.modalities)).observe(prediction.gate)
            self._confidence.observe(max(prediction.probabilities.values()))
            for flag in prediction.flags:
                self._flags.labels(flag).inc()
