"""Prometheus metrics of the ingest worker."""

from prometheus_client import Counter, Gauge, start_http_server

from features.ingest import Ingest

LAG = Gauge("covla_ingest_lag", "Messages on the topic that are not ingested yet", ["topic"])
DONE = Counter("covla_ingest_messages", "Messages ingested", ["kind"])


def serve(worker: Ingest, host: str, port: int) -> None:
    """Answer /metrics from this process, and let the worker count there."""
    start_http_server(port, addr=host)
    worker.on_batch = _count


def _count(kinds: dict[str, int], lag: dict[str, int]) -> None:
    for kind, number in kinds.items():
        DONE.labels(kind).inc(number)
    for topic, messages in lag.items():
        LAG.labels(topic).set(messages)
