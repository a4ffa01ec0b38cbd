"""Alerts: one JSON record on the alerts topic for whoever subscribes to it."""

import hashlib
from collections.abc import Callable

from kafka.errors import KafkaError

from covla.errors import ServiceUnavailable
from covla.kafka.clients import bootstrap, ensure_topics, producer
from covla.schemas.alert import Alert
from covla.settings import Settings
from covla.time_range import TimeRange
from covla.times import now


def drift_alert(
    window: TimeRange, reference: str, modality: str, scores: dict[str, float | None]
) -> Alert:
    """The alert that `modality` drifted."""
    key = "\0".join(("drift", modality, str(window), reference))
    return Alert.model_validate(
        {
            "alert_id": hashlib.sha256(key.encode()).hexdigest()[:32],
            "kind": "drift",
            "modality": modality,
            "window": str(window),
            "reference": reference,
            "scores": scores,
            "created_at": now(),
        }
    )


def will_alert(wanted: bool | None, settings: Settings, log: Callable[[str], None]) -> bool:
    """Whether drift is sent: as `wanted`, and for None where a broker is known.

    Raises:
        ServiceUnavailable: it is wanted, and no broker is known.
    """
    if wanted is not False:
        try:
            bootstrap(settings)
            return True
        except ServiceUnavailable:
            if wanted:
                raise
            log("drift: no Kafka broker is known, so no alert will be sent")
    return False


def send(alert: Alert, settings: Settings) -> None:
    """Publish, and wait until the brokers have it.

    Raises:
        ServiceUnavailable: no broker answers, or it does not take the record.
    """
    topics = ensure_topics(settings)
    client = producer(settings)
    try:
        future = client.send(topics.alerts, key=alert.alert_id.encode(), value=alert.to_json())
        future.get(timeout=30)
    except KafkaError as error:
        raise ServiceUnavailable(
            f"Kafka did not take the alert {alert.alert_id}: {error}",
            hint="Run the same command again; the alert keeps its id",
        ) from error
    finally:
        client.close(timeout=10)
