import json

import jsonschema
import pytest
from pydantic import ValidationError

from covla.schemas.alert import Alert
from covla.schemas.json_schema import schemas
from covla.time_range import TimeRange
from monitoring.alerts import drift_alert

WINDOW = TimeRange.parse("2026-05-01T00:00:00Z/2026-05-02T00:00:00Z")


def test_the_same_finding_has_the_same_id():
    first = drift_alert(WINDOW, "7", "image", {"image": 4.2, "text": None})
    assert first.alert_id == drift_alert(WINDOW, "7", "image", {}).alert_id
    assert first.alert_id != drift_alert(WINDOW, "8", "image", {}).alert_id
    assert first.alert_id != drift_alert(WINDOW, "7", "text", {}).alert_id


def test_the_record_survives_the_wire():
    made = drift_alert(WINDOW, "7", "image", {"image": 4.2, "text": None})
    assert Alert.model_validate_json(made.to_json()) == made
    jsonschema.validate(json.loads(made.to_json()), schemas()["alert"])


def test_an_unknown_modality_is_no_alert():
    with pytest.raises(ValidationError):
        drift_alert(WINDOW, "7", "sound", {})
