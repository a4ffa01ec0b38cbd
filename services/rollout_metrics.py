"""Prometheus metrics of canary and shadow: of the process, since its one router is older than the
registry that shows them."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

FALLBACKS = Counter(
    "covla_canary_fallbacks",
    "Posts of the canary that the champion answered",
    ["reason"],  # failed, paused, refused
    registry=None,
)
SHADOW_POSTS = Counter("covla_shadow_posts", "Posts that the shadow answered", registry=None)
SHADOW_DROPPED = Counter(
    "covla_shadow_dropped",
    "Posts that the shadow did not answer",
    ["reason"],  # budget, full, failed, paused, refused, unwritten, closed
    registry=None,
)
DISAGREEMENTS = Counter(
    "covla_shadow_disagreements", "Posts with another label than the champion's", registry=None
)
DIFFERENCE = Histogram(
    "covla_shadow_probability_difference",
    "Mean absolute difference of the probabilities from the champion's, per post",
    registry=None,
    buckets=(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1),
)


class _Roles(Collector):
    """Which versions are loaded beside the champion. Not a Gauge, as it cannot let go of one."""

    def __init__(self) -> None:
        self.canary: tuple[str, float] | None = None  # version and weight
        self.shadow: str | None = None

    def collect(self) -> Iterator[GaugeMetricFamily]:
        canary = GaugeMetricFamily(
            "covla_canary_weight", "Share of posts of the canary that is loaded", labels=["version"]
        )
        if self.canary is not None:
            canary.add_metric([self.canary[0]], self.canary[1])
        yield canary
        shadow = GaugeMetricFamily(
            "covla_shadow_info", "1 for the shadow that is loaded", labels=["version"]
        )
        if self.shadow is not None:
            shadow.add_metric([self.shadow], 1)
        yield shadow


ROLES = _Roles()


def register_rollout(registry: CollectorRegistry) -> None:
    """Show them in a registry."""
    for metric in (FALLBACKS, SHADOW_POSTS, SHADOW_DROPPED, DISAGREEMENTS, DIFFERENCE, ROLES):
        registry.register(metric)
