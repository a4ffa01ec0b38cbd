"""One run of live quality: a time range in; a report, and figures for MLflow and /metrics, out."""

from dataclasses import asdict, dataclass
from datetime import datetime

import orjson

from covla.files import write_bytes_aside
from covla.registry.live_performance import LivePerformance, publish
from covla.registry.registry import Registry
from covla.settings import Settings
from covla.time_range import TimeRange
from monitoring.live_posts import live_posts
from monitoring.performance import VersionPerformance, performance


@dataclass(frozen=True)
class LiveReport:
    """What `covla performance` prints; `report` is the path of the same as a file."""

    window: str
    versions: list[VersionPerformance]
    report: str


def live_report(
    window: TimeRange, settings: Settings, *, as_of: datetime | None = None
) -> LiveReport:
    """The performance of every version that predicted in `window`, written and published.

    Raises:
        TooFew: nothing was predicted.
        ServiceUnavailable: MLflow does not answer.
    """
    rows = live_posts(window, settings, as_of)
    fitted = {
        release.version: release.metrics["sharpness"]
        for release in Registry(settings).releases()
        if "sharpness" in release.metrics
    }
    versions = performance(rows, fitted)
    path = settings.reports / "performance" / f"{window.slug}.json"
    report = LiveReport(str(window), versions, str(path))
    write_bytes_aside(path, orjson.dumps(asdict(report), option=orjson.OPT_INDENT_2))
    publish(window.end, [_figures(one) for one in versions], settings)
    return report


def _figures(one: VersionPerformance) -> LivePerformance:
    return LivePerformance(
        model_version=one.model_version,
        posts=one.posts,
        labelled=one.labelled,
        accuracy=None if one.accuracy is None else one.accuracy.value,
        macro_f1=one.macro_f1,
        ece=one.ece,
        estimated_accuracy=one.estimated_accuracy.value,
        estimated_macro_f1=one.estimated_macro_f1,
    )
