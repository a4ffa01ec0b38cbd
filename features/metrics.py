"""Prometheus metrics of the ingest worker."""

from prometheus_client import REGISTRY, CollectorRegistry, Counter

from covla.kafka.worker_health import WorkerHealth
from covla.registry.live_performance import LivePerformanceCollector
from covla.settings import Settings


class IngestMetrics:
    """Counts what was committed; `health` has the lag. How the model does on live posts is shown
    here too: nothing else that Prometheus asks has the state folder at hand."""

    def __init__(self, settings: Settings, registry: CollectorRegistry = REGISTRY) -> None:
        self.health = WorkerHealth(settings, "ingest", registry, why="loading the encoders")
        registry.register(LivePerformanceCollector(settings))
        self._done = Counter(
            "covla_ingest_messages", "Messages ingested", ["kind"], registry=registry
        )
        # From zero: Prometheus sees no increase in a series that begins with its first message.
        for kind in ("post", "label", "prediction", "dead_letter", "set_aside"):
            self._done.labels(kind)

    def committed(self, kinds: dict[str, int]) -> None:
        """Messages by what became of them: post, label, prediction, dead_letter or set_aside."""
        for kind, number in kinds.items():
            self._done.labels(kind).inc(number)
