"""How versions do on live posts: written to their MLflow runs, and to a file for /metrics."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import orjson
from filelock import FileLock
from prometheus_client.core import GaugeMetricFamily, Metric

from covla.files import read_dataclass, write_bytes_aside
from covla.registry import mlflow_client
from covla.registry.releases import NAME
from covla.settings import Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LivePerformance:
    """Of one version in a time range; None where no post has a label yet."""

    model_version: str
    posts: int
    labelled: int
    accuracy: float | None
    macro_f1: float | None
    ece: float | None
    estimated_accuracy: float
    estimated_macro_f1: float


@dataclass(frozen=True)
class Latest:
    """The last time range that was looked at."""

    end: datetime
    versions: list[LivePerformance]


def publish(end: datetime, versions: Sequence[LivePerformance], settings: Settings) -> None:
    """Log to the MLflow run of each version that is registered, as metrics `live.*` at the time
    `end`; and keep for /metrics, unless a later time range is kept there already.

    A second call for the same time range changes nothing.

    Raises:
        ServiceUnavailable: MLflow does not answer.
    """
    for one in versions:
        if one.model_version.isdigit() and mlflow_client.is_initialised(settings):
            _log(end, one, settings)
    path = _path(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):
        if not path.exists() or read_dataclass(Latest, path).end <= end:
            write_bytes_aside(path, orjson.dumps(asdict(Latest(end, list(versions)))))


def _log(end: datetime, one: LivePerformance, settings: Settings) -> None:
    client = mlflow_client.client(settings)
    at = int(end.timestamp() * 1000)
    with mlflow_client.translate_mlflow_errors(settings):
        found = client.search_model_versions(f"name = '{NAME}'", max_results=10_000)
        runs = {str(version.version): version.run_id for version in found}
        if one.model_version not in runs:
            log.warning("version %s is not in the registry any more", one.model_version)
            return
        run_id = runs[one.model_version]
        for name, value in asdict(one).items():
            if name != "model_version" and value is not None:
                step = at // 3_600_000  # hours: the axis of MLflow's chart
                client.log_metric(run_id, f"live.{name}", float(value), timestamp=at, step=step)


class LivePerformanceCollector:
    """Prometheus gauges `covla_live_*{version}` of the latest time range, read at each scrape."""

    def __init__(self, settings: Settings) -> None:
        self._path = _path(settings)

    def collect(self) -> Iterator[Metric]:
        """Nothing until `covla performance` has run."""
        if not self._path.exists():
            return
        latest = read_dataclass(Latest, self._path)
        end = GaugeMetricFamily("covla_live_end_seconds", "End of the time range, since 1970")
        end.add_metric([], latest.end.timestamp())
        yield end
        for name in ("posts", "labelled", "accuracy", "macro_f1", "ece", "estimated_accuracy"):
            text = f"{name} of live posts, by `covla performance`"
            gauge = GaugeMetricFamily(f"covla_live_{name}", text, labels=["version"])
            for one in latest.versions:
                if (value := getattr(one, name)) is not None:
                    gauge.add_metric([one.model_version], float(value))
            yield gauge


def _path(settings: Settings) -> Path:
    return settings.state.absolute() / "performance" / "latest.json"
