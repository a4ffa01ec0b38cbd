"""Which records of the alerts topic start a retrain. The triggerer calls `retrain_of` for each.

It never raises: a record that did would be read again and again. What starts nothing leaves one
line in the triggerer's log. The topic's contract: docs/contracts/alert.schema.json.
"""

import json
import logging
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.configuration import conf

VERSIONS = (1, 2)
# As missed runs are made up to so many hours ago, so are alerts: a new Airflow reads all that the
# topic keeps.
OLDEST = timedelta(hours=conf.getint("covla", "catchup_hours", fallback=72))
log = logging.getLogger(__name__)


class NoRetrain(Exception):  # a reason, no error
    """Why a record starts nothing."""


def retrain_of(message: Any) -> dict[str, str] | None:
    """What a retrain that an alert starts is to work on; None where it starts none.

    Args:
        message: of confluent-kafka, with its value as bytes.
    """
    where = f"{message.topic()}, partition {message.partition()}, offset {message.offset()}"
    try:
        requested = _requested(json.loads(message.value() or b""))
    except NoRetrain as reason:
        log.info("%s starts no retrain: %s", where, reason)
        return None
    except (
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        RecursionError,
        OverflowError,
    ) as error:
        words = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        log.warning("%s starts no retrain: it is no alert (%s)", where, words)
        return None
    log.info("%s starts a retrain: alert %s", where, requested["alert_id"])
    return requested


def _requested(alert: dict[str, Any]) -> dict[str, str]:
    version = alert.get("schema_version", 1)
    if version not in VERSIONS:
        raise NoRetrain(f"its schema version {version!r} is unknown, known are 1 and 2")
    kind, state = alert["kind"], alert.get("state", "open")
    if (kind, state) != ("drift", "open"):
        raise NoRetrain(f"an alert of kind {kind!r}, {state!r}")
    if alert.get("run"):
        raise NoRetrain(f"{alert['run']} starts it by itself")
    at = datetime.fromisoformat(alert["created_at"])
    if at < datetime.now(UTC) - OLDEST:
        raise NoRetrain(f"it is of {at.isoformat()}, older than {OLDEST}")
    if not re.fullmatch("[0-9a-f]{32}", alert["alert_id"]):
        raise ValueError("alert_id is no id")
    subject = str(alert["modality" if version == 1 else "subject"])
    requested = {
        "as_of": at.isoformat(),
        "drift_modality": subject,
        "alert_id": alert["alert_id"],
        "alert": str(alert.get("summary") or f"{subject} drifted")[:300],
    }
    if window := alert.get("window"):
        start, end = (datetime.fromisoformat(part) for part in window.split("/"))
        if not start < end:
            raise ValueError("window: its end is not after its start")
        requested["window"] = window
    return requested
