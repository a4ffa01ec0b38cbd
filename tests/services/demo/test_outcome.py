"""The demo counts what its own workers wrote, whatever else lies on the topics."""

from datetime import UTC, datetime

import pytest

from covla.kafka import clients, dead_letters
from covla.schemas.prediction import Prediction
from covla.settings import Settings
from services.demo.outcome import Outcome
from tests.faults.wire import Wire, send

pytestmark = pytest.mark.slow


def _prediction(post_id: str) -> bytes:
    return Prediction(
        prediction_id=Prediction.id_for(post_id, "1"), post_id=post_id, label="home",
        probabilities={"home": 1.0}, gate=1.0, modalities=["text"], quality={}, flags=[],
        model_version="1", predicted_at=datetime.now(UTC), latency_ms=1.0,
    ).to_json()  # fmt: skip


def test_records_of_other_programs_are_passed_over(settings: Settings) -> None:
    topics = clients.ensure_topics(settings)
    outcome = Outcome(settings)
    foreign = [Wire(b"hello"), Wire(None, b"k"), Wire(b"{}", headers=[("replays", b"first try")])]
    for topic in (topics.predictions, topics.dead_letters, topics.alerts):
        send(settings, topic, foreign)
    send(settings, topics.predictions, [Wire(_prediction("a")), Wire(_prediction("a"))])
    send(settings, topics.alerts, [Wire(b'{"modality": "image"}')])
    (place,) = send(settings, topics.posts, [Wire(b"no json")])
    letter = dead_letters.DeadLetter(
        None, b"no json", *place, "not_json", "message", "no", "parse", "1"
    )
    send(settings, topics.dead_letters, [Wire(letter.value, headers=letter.headers())])
    for _ in range(20):
        outcome.read()
    outcome.close()
    assert set(outcome.predictions) == {"a"}
    assert (outcome.records, outcome.repeated) == (2, 1)
    assert {"modality": "image"} in outcome.alerts
    assert set(outcome.dead) == {place}
