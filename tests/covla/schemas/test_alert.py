"""Alerts on the wire: version 2 as it is written, version 1 as others still send it."""

import json
from datetime import UTC, datetime
from typing import Any

import jsonschema
import pytest

from covla.errors import PostError
from covla.schemas.alert import Alert, read_alert
from covla.schemas.json_schema import schemas

V1 = {
    "schema_version": 1,
    "alert_id": "0" * 32,
    "kind": "drift",
    "modality": "image",
    "window": "2026-05-01T00:00:00.000000Z/2026-05-02T00:00:00.000000Z",
    "reference": "7",
    "scores": {"image": 4.2, "text": None},
    "created_at": "2026-05-02T00:10:00Z",
}
V2 = {
    "schema_version": 2,
    "alert_id": "0" * 32,
    "kind": "release",
    "subject": "7",
    "state": "open",
    "summary": "version 7 was taken back",
    "since": "2026-05-02T00:00:00Z",
    "created_at": "2026-05-02T00:10:00Z",
}


def raw(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode()


def test_version_2_survives_the_wire_and_fits_its_schema() -> None:
    examples = [{"post_id": str(i), "text": "hi"} for i in range(3)]
    more = {"confidence": "p = 0.01", "scores": {"text": 1.5}, "examples": examples, "run": "a/b"}
    alert = read_alert(raw(V2 | more))
    assert read_alert(alert.to_json()) == alert
    jsonschema.validate(json.loads(alert.to_json()), schemas()["alert"])
    jsonschema.validate(V2, schemas()["alert"])  # the least that a producer sends


def test_version_1_is_read_as_an_alert_that_opened() -> None:
    jsonschema.validate(V1, schemas()["alert_v1"])
    alert = read_alert(raw(V1))
    assert (alert.schema_version, alert.kind, alert.subject) == (2, "drift", "image")
    assert (alert.state, alert.summary) == ("open", "image drifted")
    assert alert.since == datetime(2026, 5, 1, tzinfo=UTC)
    assert (alert.window, alert.scores) == (V1["window"], V1["scores"])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (V2 | {"schema_version": 3}, "schema_version: 3; this reader knows alerts of 1 and 2"),
        (V2 | {"schema_version": "2"}, "schema_version: '2'; this reader knows alerts of 1 and 2"),
        (V2 | {"kind": "weather"}, "kind: Input should be"),
        (V2 | {"alert_id": "x"}, "alert_id: "),
        (V2 | {"since": "2026-05-02"}, "since: must be an RFC 3339 text"),
        (V2 | {"examples": [{"post_id": "1"}] * 4}, "examples: List should have at most 3"),
        (V1 | {"modality": None}, "subject: "),
    ],
)
def test_what_is_no_alert_is_one_line_that_names_the_field(
    value: dict[str, Any], message: str
) -> None:
    with pytest.raises(PostError) as error:
        read_alert(raw(value))
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("value", [None, b"", b"{", b"[]", b"\xff"])
def test_what_is_no_object_is_no_alert(value: bytes | None) -> None:
    with pytest.raises(PostError, match="message: "):
        read_alert(value)


def test_an_alert_of_the_code_cannot_be_changed() -> None:
    alert = read_alert(raw(V2))
    with pytest.raises(ValueError, match="frozen"):
        alert.state = "closed"
    assert isinstance(alert, Alert)
