"""`POST /feedback`: a user's label is on the labels topic, or the user hears that it is not."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from kafka.errors import KafkaTimeoutError
from starlette.testclient import TestClient

from covla.errors import PostError, ServiceUnavailable
from covla.kafka import clients
from covla.posts.taxonomy import load_taxonomy
from covla.schemas.label import parse_label
from covla.settings import Settings
from services.rest.app import Api
from services.rest.feedback import Feedback, FeedbackPublisher
from services.rest.queue import Overloaded, PredictionQueue
from services.stack import ports
from tests.faults.wire import read

JSON = {"content-type": "application/json"}


@pytest.fixture
def client(echo: Any, offline_settings: Settings) -> Iterator[TestClient]:
    api = Api(offline_settings)
    api.queue = PredictionQueue(lambda: echo, capacity=4)
    with TestClient(api.application()) as client:
        yield client
    api.queue.close()


@pytest.mark.parametrize(
    ("body", "status", "field", "code"),
    [
        (b"{", 400, "message", "not_json"),
        (b"[]", 400, "message", "not_an_object"),
        (b"{}", 422, "post_id", "missing"),
        (b'{"post_id": "p", "label": 7}', 422, "label", "string_type"),
        (b'{"post_id": "", "label": "home"}', 422, "post_id", "string_too_short"),
        (b'{"post_id": "p", "label": "moon"}', 422, "label", "unknown_label"),
    ],
)
def test_bad_feedback_is_refused_by_name(
    client: TestClient, body: bytes, status: int, field: str, code: str
) -> None:
    answer = client.post("/feedback", content=body, headers=JSON)
    error = answer.json()
    assert (answer.status_code, error["field"], error["code"]) == (status, field, code)


def test_a_form_or_a_large_body_is_refused(client: TestClient) -> None:
    form = client.post("/feedback", data={"post_id": "p", "label": "home"})
    assert (form.status_code, form.json()["field"]) == (415, "content-type")
    large = client.post("/feedback", content=b" " * 1_000_001, headers=JSON)
    assert (large.status_code, large.json()["code"]) == (413, "too_large")


def test_without_a_broker_the_503_says_what_to_do(client: TestClient) -> None:
    answer = client.post("/feedback", json={"post_id": "p", "label": "home"})
    assert answer.status_code == 503
    assert answer.json()["error"].startswith("no Kafka broker is known. Start one with `covla up`")
    assert int(answer.headers["retry-after"]) > 0


def test_more_than_may_wait_is_refused(
    offline_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher = FeedbackPublisher(offline_settings, load_taxonomy(), capacity=2)
    free = threading.Event()
    monkeypatch.setattr(publisher, "_send", lambda label: free.wait(30) and label)
    one = Feedback(post_id="p", label="home")
    waiting = [publisher.submit(one), publisher.submit(one)]
    with pytest.raises(Overloaded):
        publisher.submit(one)
    free.set()
    assert [future.result(30).label for future in waiting] == ["home", "home"]
    publisher.submit(one).result(30)
    publisher.close()
    with pytest.raises(Overloaded):
        publisher.submit(one)


@pytest.mark.slow
def test_what_was_acknowledged_is_a_label_that_ingest_takes(settings: Settings) -> None:
    publisher = FeedbackPublisher(settings, load_taxonomy())
    sent = [
        publisher.submit(Feedback(post_id=f"p-{i}", label=label))
        for i, label in enumerate(("home", "shop"))
    ]
    labels = [future.result(60) for future in sent]
    with pytest.raises(PostError, match="'moon' is not one of"):
        publisher.submit(Feedback(post_id="p", label="moon"))
    publisher.close()
    records = read(settings, clients.Topics.of(settings).labels, 2)
    found = sorted((parse_label(r.value, settings) for r in records), key=lambda x: x.post_id)
    assert found == labels
    assert [(x.post_id, x.label, x.source) for x in found] == [
        ("p-0", "home", "feedback"),
        ("p-1", "shop", "feedback"),
    ]
    assert {record.key for record in records} == {b"p-0", b"p-1"}


@pytest.mark.slow
def test_a_broker_that_is_away_is_named_and_the_next_label_goes_through(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = settings.model_copy(update={"kafka_bootstrap": f"127.0.0.1:{ports.any_free()}"})
    lost = FeedbackPublisher(away, load_taxonomy())
    one = Feedback(post_id="p-1", label="home")
    with pytest.raises(ServiceUnavailable, match="no Kafka broker answers at 127"):
        lost.submit(one).result(60)
    lost.close()

    publisher = FeedbackPublisher(settings, load_taxonomy())
    publisher.submit(one).result(60)
    first = publisher._producer

    class Unanswered:
        def get(self, timeout: float) -> None:
            raise KafkaTimeoutError(f"nothing within {timeout} s")

    monkeypatch.setattr(first, "send", lambda *_, **__: Unanswered())
    with pytest.raises(ServiceUnavailable, match="Kafka did not take the label"):
        publisher.submit(one).result(60)
    assert publisher.submit(one).result(60).label == "home"
    publisher.close()
