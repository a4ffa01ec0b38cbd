"""The alerts topic as an asset: a drift alert of any process starts a retrain (ADR 25).

Only where Airflow is given the topic, and with the connection `covla_kafka` the way to it.
"""

from typing import Any

from airflow.configuration import conf
from airflow.sdk import Asset, AssetWatcher

from include.commands import DRIFT

TOPIC = conf.get("covla", "alerts_topic", fallback="")
CONNECTION = "covla_kafka"


def drift_assets() -> Any:
    """What starts a retrain: the monitor's own asset, or a record of the topic."""
    if not TOPIC:
        return DRIFT
    # Here: without the topic no DAG file waits for Kafka's library.
    from airflow.providers.apache.kafka.triggers.await_message import AwaitMessageTrigger

    trigger = AwaitMessageTrigger(
        topics=[TOPIC],
        apply_function="covla_alert_topic.retrain_of",  # dags/plugins
        kafka_config_id=CONNECTION,
        poll_timeout=1,
        poll_interval=0,
    )
    watcher = AssetWatcher(name="covla_alerts", trigger=trigger)
    return DRIFT | Asset("covla_alerts", uri="covla://alerts", watchers=[watcher])
