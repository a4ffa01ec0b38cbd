"""Which records of the alerts topic start a retrain, and what the others leave in the log."""

import json
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covla.schemas.alert import Alert, AlertV1
from covla_alert_topic import retrain_of

NOW = datetime.now(UTC)
HOUR = "2026-05-01T00:00:00.000000Z/2026-05-01T01:00:00.000000Z"
V2 = json.loads(
    Alert(
        alert_id="0" * 32,
        kind="drift",
        subject="image",
        state="open",
        summary="image drifted: image_blur",
        since=NOW,
        created_at=NOW,
        window=HOUR,
    ).to_json()
)
V1 = AlertV1(
    alert_id="0" * 32,
    kind="drift",
    modality="image",
    window=HOUR,
    reference="7",
    scores={},
    created_at=NOW,
).model_dump(mode="json")
OLD = (NOW - timedelta(hours=73)).isoformat()


class Message:
    """What of confluent-kafka's Message is used."""

    def __init__(self, value: bytes | None) -> None:
        self._value = value

    def value(self) -> bytes | None:
        return self._value

    def topic(self) -> str:
        return "covla.alerts"

    def partition(self) -> int:
        return 1

    def offset(self) -> int:
        return 12


def read(value: object) -> dict[str, str] | None:
    return retrain_of(Message(json.dumps(value).encode()))


@pytest.mark.parametrize(
    ("alert", "summary"), [(V2, "image drifted: image_blur"), (V1, "image drifted")]
)
def test_a_drift_alert_of_either_version_starts_a_retrain(
    alert: dict[str, Any], summary: str
) -> None:
    requested = read(alert)
    assert requested is not None
    assert datetime.fromisoformat(requested.pop("as_of")) == NOW
    assert requested == {
        "window": HOUR,
        "drift_modality": "image",
        "alert_id": "0" * 32,
        "alert": summary,
    }


def test_without_a_time_range_the_run_takes_its_own() -> None:
    requested = read({name: value for name, value in V2.items() if name != "window"})
    assert requested is not None
    assert "window" not in requested


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"schema_version": 3}, "its schema version 3 is unknown, known are 1 and 2"),
        ({"kind": "task"}, "an alert of kind 'task', 'open'"),
        ({"state": "closed"}, "an alert of kind 'drift', 'closed'"),
        ({"run": "monitor_drift/a"}, "monitor_drift/a starts it by itself"),
        ({"created_at": OLD}, "older than 3 days"),
        ({"alert_id": "--force"}, "it is no alert (ValueError: alert_id is no id)"),
        ({"window": "yesterday"}, "it is no alert (ValueError"),
        ({"created_at": None}, "it is no alert (TypeError"),
    ],
)
def test_what_starts_nothing_leaves_one_line(
    more: dict[str, Any], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "covla_alert_topic")
    assert read(V2 | more) is None
    (line,) = [one for one in caplog.messages if "covla.alerts" in one]
    assert line.startswith("covla.alerts, partition 1, offset 12 starts no retrain: ")
    assert why in line
    assert "\n" not in line


@pytest.mark.parametrize("value", [None, b"", b"{", b"[]", b"\xff", b"[" * 100_000, b"null"])
def test_what_is_no_json_object_starts_nothing(value: bytes | None) -> None:
    assert retrain_of(Message(value)) is None


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)


@given(st.dictionaries(st.sampled_from(sorted(V2)), _JSON, max_size=4))
def test_no_record_whatever_it_holds_stops_the_triggerer(changed: dict[str, Any]) -> None:
    read(V2 | changed)
