"""The typed methods of the BentoML service and its HTTP routes say the same."""

import json
from collections.abc import Iterator
from typing import Any

import bentoml
import pytest
from starlette.testclient import TestClient

from covla.errors import PostError, ServiceUnavailable
from covla.schemas.post import SocialPost
from covla.settings import Settings
from services.rest.service import build


@pytest.fixture
def client(echo: Any, offline_settings: Settings) -> Iterator[TestClient]:
    with TestClient(build(offline_settings, lambda: echo).to_asgi()) as client:
        yield client


def _call(client: TestClient, method: str, *args: Any) -> Any:
    """A method of the service itself: without `local`, BentoML would ask over HTTP."""
    assert client.portal is not None
    return client.portal.call(getattr(bentoml.get_current_service(), method).local, *args)


def _stable(text: str) -> dict[str, Any]:
    value = json.loads(text)
    assert isinstance(value, dict)
    return {k: v for k, v in value.items() if k != "predicted_at"}


def test_a_method_and_its_route_say_the_same(client: TestClient, a_post: dict[str, Any]) -> None:
    post = SocialPost.from_dict(a_post)
    bad = SocialPost.from_dict(a_post | {"post_id": "p-2", "text": "refuse"})
    routed = client.post("/predict", json=a_post)
    assert _stable(_call(client, "predict", post).to_json()) == _stable(routed.text)
    with pytest.raises(PostError, match="cannot be decoded"):
        _call(client, "predict", bad)
    good, error = _call(client, "predict_batch", [post, bad])
    rows = client.post(
        "/predict_batch", json=[a_post, a_post | {"post_id": "p-2", "text": "refuse"}]
    )
    assert _stable(good.to_json()) == _stable(json.dumps(rows.json()[0]))
    assert error.model_dump() == rows.json()[1]
    labels = [label.model_dump() for label in _call(client, "labels")]
    assert labels == client.get("/labels").json()
    assert _call(client, "version").model_dump(mode="json") == client.get("/version").json()
    with pytest.raises(ServiceUnavailable, match="no Kafka broker is known"):
        _call(client, "feedback", "p-1", "home")


def test_what_both_do_is_counted_once(client: TestClient, a_post: dict[str, Any]) -> None:
    client.post("/predict", json=a_post)
    _call(client, "predict", SocialPost.from_dict(a_post))
    text = client.get("/metrics").text
    assert 'covla_predictions_total{label="home"} 2.0' in text
    assert 'covla_requests_total{route="/predict",status="200"} 1.0' in text


def test_bentoml_answers_what_is_not_ours(client: TestClient) -> None:
    assert client.get("/no/such/path").text == "Not Found"
    assert client.get("/docs/", follow_redirects=False).status_code == 307
    assert client.get("/predict").status_code == 405
    assert client.get("/predict").json()["code"] == "http"
    assert client.get("/readyz").status_code == 200
