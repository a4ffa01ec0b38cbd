"""Prometheus metrics of what a model answers, the same at REST and at a stream worker."""

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from covla.schemas.prediction import Prediction
from services.rollout_metrics import register_rollout

_TENTHS = tuple(i / 10 for i in range(1, 11))


class _ModelInfo(Collector):
    """The version that answers, as a metric label. Not a Gauge: under `bentoml serve`, which sets
    PROMETHEUS_MULTIPROC_DIR, a Gauge cannot let go of the version before."""

    def __init__(self) -> None:
        self.version: str | None = None

    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = GaugeMetricFamily("covla_model_info", "1 for what serves", labels=["version"])
        if self.version is not None:
            family.add_metric([self.version], 1)
        yield family


class PredictionMetrics:
    """Counts answers. Every metric label has few, fixed values."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._predictions = Counter(
            "covla_predictions", "Predictions given", ["label"], registry=registry
        )
        self._by_version = Counter(
            "covla_version_predictions",
            "Predictions given by a model version",
            ["version"],
            registry=registry,
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
        self._model = _ModelInfo()
        registry.register(self._model)
        register_rollout(registry)

    def serves(self, version: str) -> None:
        """`version` is the champion, or what answers in its place."""
        self._model.version = version

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
            self._by_version.labels(prediction.model_version).inc()
            self._gate.labels("+".join(prediction.modalities)).observe(prediction.gate)
            self._confidence.observe(max(prediction.probabilities.values()))
            for flag in prediction.flags:
                self._flags.labels(flag).inc()
