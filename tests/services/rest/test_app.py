"""The REST routes: every kind of bad input gets its 4xx and names the field, never a 500."""

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from covla.settings import Settings
from services.canary import Canary, Routed, place_of
from services.rest.app import Api
from services.rest.queue import PredictionQueue


@pytest.fixture
def api(echo: Any, offline_settings: Settings) -> Iterator[Api]:
    api = Api(offline_settings)
    api.queue = PredictionQueue(lambda: echo, capacity=40)
    yield api
    echo.gate.set()
    api.queue.close()


@pytest.fixture
def client(api: Api) -> Iterator[TestClient]:
    with TestClient(api.application()) as client:
        yield client


def test_one_post_gets_a_prediction_and_names_the_version(
    client: TestClient, a_post: dict[str, Any]
) -> None:
    response = client.post("/predict", json=a_post)
    assert response.status_code == 200
    assert response.headers["model-version"] == "echo-1"
    assert response.json()["post_id"] == "p-1"
    assert response.json()["label"] == "home"


def test_a_canary_is_named_where_it_answered(
    api: Api, client: TestClient, echo: Any, a_post: dict[str, Any]
) -> None:
    other = type(echo)()
    other.version = "echo-2"
    api.queue.close()
    api.queue = PredictionQueue(lambda: Routed(echo, Canary(other, 0.5)), capacity=40)
    posts = [a_post | {"post_id": f"p{i}"} for i in range(10)]
    expected = ["echo-2" if place_of(post["post_id"]) < 0.5 else "echo-1" for post in posts]
    for post, version in zip(posts, expected, strict=True):
        response = client.post("/predict", json=post)
        assert response.headers["model-version"] == response.json()["model_version"] == version
    batch = client.post("/predict_batch", json=posts)
    assert batch.headers["model-version"] == "echo-1, echo-2"
    assert [one["model_version"] for one in batch.json()] == expected
    theirs = [post for post, version in zip(posts, expected, strict=True) if version == "echo-2"]
    assert client.post("/predict_batch", json=theirs).headers["model-version"] == "echo-2"
    assert client.get("/version").json()["model_version"] == "echo-1"
    text = client.get("/metrics").text
    assert 'covla_model_info{version="echo-1"} 1.0' in text
    assert f'covla_version_predictions_total{{version="echo-2"}} {3.0 * len(theirs)}' in text


def test_a_form_needs_nothing_but_text_or_a_picture(client: TestClient) -> None:
    first = client.post("/predict", data={"text": "A form"}).json()
    second = client.post("/predict", data={"text": "A form"}).json()
    assert first["post_id"] != second["post_id"]
    both = client.post("/predict", data={"text": "x"}, files={"image": ("a.png", b"123")})
    assert both.json()["modalities"] == ["text", "image"]
    image = client.post("/predict", files={"image": ("a.png", b"123")})
    assert image.status_code == 200
    named = client.post("/predict", data={"text": "x", "post_id": "mine"}).json()
    assert named["post_id"] == "mine"


JSON = {"content-type": "application/json"}
NOW = "2026-05-01T12:00:00Z"


def _with(**changes: Any) -> bytes:
    post = {"post_id": "p", "created_at": NOW, "text": "x"} | changes
    return json.dumps(post).encode()


@pytest.mark.parametrize(
    ("body", "headers", "status", "field", "code"),
    [
        (b"{not json", JSON, 400, "message", "not_json"),
        (b"", JSON, 400, "message", "not_json"),
        (b"\xff\xfe", JSON, 400, "message", "not_json"),
        (b"[" * 5000, JSON, 400, "message", "not_json"),
        (b'{"post_id": NaN}', JSON, 400, "message", "not_json"),
        (b"[]", JSON, 400, "message", "not_an_object"),
        (b"null", JSON, 400, "message", "not_an_object"),
        (_with(text=7), JSON, 422, "text", "string_type"),
        (_with(created_at=10**30), JSON, 422, "created_at", "value_error"),
        (_with(created_at="yesterday"), JSON, 422, "created_at", "datetime_from_date_parsing"),
        (_with(post_id=""), JSON, 422, "post_id", "string_too_short"),
        (_with(text=" "), JSON, 422, "message", "empty_post"),
        (_with(schema_version=9), JSON, 422, "schema_version", "literal_error"),
        (_with(image={"uri": "http://169.254.169.254/"}), JSON, 422, "image", "image_url"),
        (_with(image={"uri": "https://example.com/a.png"}), JSON, 422, "image", "image_url"),
        (_with(image={}), JSON, 422, "image", "image_source"),
        (_with(text="a" * 4001), JSON, 413, "text", "too_large"),
        (_with(image={"data": "A" * 700_001}), JSON, 413, "image.data", "too_large"),
        (_with(text="refuse"), JSON, 422, "image", "unreadable_image"),
        (b"a=1", {"content-type": "text/csv"}, 415, "content-type", "media_type"),
        (b"x", {"content-type": "multipart/form-data"}, 400, "body", "bad_form"),
        (b"x", {"content-type": "multipart/form-data; boundary=b"}, 400, "body", "bad_form"),
        (
            b"text=",
            {"content-type": "application/x-www-form-urlencoded"},
            422,
            "message",
            "empty_post",
        ),
    ],
)
def test_bad_input_is_refused_by_name(
    client: TestClient, body: bytes, headers: dict[str, str], status: int, field: str, code: str
) -> None:
    response = client.post("/predict", content=body, headers=headers)
    assert (response.status_code, response.json()["field"], response.json()["code"]) == (
        status,
        field,
        code,
    )
    assert response.json()["error"]


@pytest.mark.parametrize(
    ("seconds", "code"),
    [("0", "deadline_passed"), ("-2", "deadline_passed"), ("soon", "bad_timeout"),
     ("nan", "bad_timeout"), ("", "bad_timeout")],
)  # fmt: skip
@pytest.mark.parametrize("route", ["/predict", "/predict_batch", "/explain", "/feedback"])
def test_a_timeout_that_cannot_be_kept_is_named(
    client: TestClient, route: str, seconds: str, code: str
) -> None:
    response = client.post(route, content=b"{", headers=JSON | {"Timeout": seconds})
    assert (response.status_code, response.json()["field"], response.json()["code"]) == (
        422,
        "timeout",
        code,
    )


def test_one_that_the_model_is_too_slow_for_is_refused_at_once(
    echo: Any, api: Api, a_post: dict[str, Any]
) -> None:
    for _ in range(20):
        api.queue._pace.learn(1, 0.5)
    with TestClient(api.application()) as client:
        refused = client.post("/predict", json=a_post, headers={"Timeout": "0.4"})
        assert (refused.status_code, refused.json()["code"]) == (429, "overloaded")
        assert "within its timeout" in refused.json()["error"]
        assert int(refused.headers["retry-after"]) == 1
        assert not echo.batches
        assert client.post("/predict", json=a_post, headers={"Timeout": "inf"}).status_code == 200


def test_one_corrupt_of_32_leaves_31_good_answers(
    client: TestClient, a_post: dict[str, Any]
) -> None:
    posts = [a_post | {"post_id": f"p-{i}", "text": f"number {i}"} for i in range(32)]
    posts[7]["text"] = "refuse"
    posts[9]["text"] = 5  # type: ignore[assignment]
    answers = client.post("/predict_batch", json=posts).json()
    assert [a.get("post_id") for a in answers] == [None if i == 9 else f"p-{i}" for i in range(32)]
    assert answers[7]["code"] == "unreadable_image"
    assert answers[9]["field"] == "text"
    assert sum("label" in answer for answer in answers) == 30


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "not_json"),
        (b"[]", 422, "not_a_list"),
        (b'{"a": 1}', 422, "not_a_list"),
        (json.dumps([{}] * 33).encode(), 413, "too_many_posts"),
    ],
)
def test_a_bad_batch_is_refused(client: TestClient, body: bytes, status: int, code: str) -> None:
    response = client.post("/predict_batch", content=body, headers=JSON)
    assert (response.status_code, response.json()["code"]) == (status, code)


def test_items_of_a_batch_that_are_no_objects(client: TestClient, a_post: dict[str, Any]) -> None:
    answers = client.post("/predict_batch", json=[1, None, a_post]).json()
    assert [a.get("code") for a in answers] == ["not_an_object", "not_an_object", None]
    assert client.post("/predict_batch", json=[1]).json()[0]["code"] == "not_an_object"


def test_over_capacity_is_429_and_the_accepted_are_answered(
    echo: Any, client: TestClient, api: Api, a_post: dict[str, Any]
) -> None:
    echo.gate.clear()
    statuses: list[int] = []

    def ask() -> None:
        statuses.append(client.post("/predict_batch", json=[a_post] * 20).status_code)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(200):
        if api.queue.waiting == 40:
            break
        threading.Event().wait(0.02)
    refused = client.post("/predict", json=a_post)
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.json()["code"] == "overloaded"
    assert "covla_queue_posts 40.0" in client.get("/metrics").text  # the event loop is free
    echo.gate.set()
    for thread in threads:
        thread.join(timeout=30)
    assert statuses == [200, 200]
    assert client.post("/predict", json=a_post).status_code == 200


def test_a_new_version_takes_over_between_two_batches(
    echo: Any, client: TestClient, a_post: dict[str, Any]
) -> None:
    assert client.post("/predict", json=a_post).headers["model-version"] == "echo-1"
    echo.version = "echo-2"
    assert client.post("/predict", json=a_post).json()["model_version"] == "echo-2"
    text = client.get("/metrics").text
    assert 'covla_model_info{version="echo-2"} 1.0' in text
    assert 'covla_model_info{version="echo-1"}' not in text


def test_metrics_count_what_happened(client: TestClient, a_post: dict[str, Any]) -> None:
    client.post("/predict", json=a_post)
    client.post("/predict", content=b"{", headers=JSON)
    client.get("/no/such/path/1")
    client.get("/no/such/path/2")
    text = client.get("/metrics").text
    for line in (
        'covla_requests_total{route="/predict",status="200"} 1.0',
        'covla_requests_total{route="/predict",status="400"} 1.0',
        'covla_predictions_total{label="home"} 1.0',
        'covla_errors_total{code="not_json"} 1.0',
        'covla_flags_total{flag="image_missing"} 1.0',
        'covla_request_seconds_count{route="/predict"} 2.0',
        'covla_gate_count{modalities="text"} 1.0',
    ):
        assert line in text
    assert "no/such" not in text  # a path that a client makes up never becomes a time series


def test_the_api_says_what_it_takes(client: TestClient, a_post: dict[str, Any]) -> None:
    document = client.get("/docs.json").json()
    assert set(document["paths"]) == {
        *("/predict", "/predict_batch", "/explain"),
        *("/feedback", "/labels", "/version"),
    }
    schemas = document["components"]["schemas"]
    assert set(schemas["SocialPost"]["required"]) == {"post_id", "created_at"}
    answer = client.post("/predict", json=a_post).json()
    assert set(answer) == set(schemas["Prediction"]["properties"])
    page = client.get("/docs")
    assert "googletagmanager" not in page.text


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_labels_and_the_version_are_told(client: TestClient, echo: Any, method: str) -> None:
    labels = client.request(method, "/labels").json()
    assert labels[0]["label"] == "home"
    assert {"label", "description"} == set().union(*labels)
    answer = client.request(method, "/version")
    assert answer.headers["model-version"] == "echo-1"
    assert answer.json()["model_version"] == "echo-1"
    assert answer.json()["serving_since"] == "2026-05-01T12:00:00Z"
    echo.version = "echo-2"
    assert client.request(method, "/version").json()["model_version"] == "echo-2"
    large = client.request(method, "/version", content=b"x" * 5000)
    assert (large.status_code, large.json()["code"]) == (413, "too_large")


def test_a_crash_of_the_model_is_a_500_for_that_batch_alone(
    echo: Any, api: Api, a_post: dict[str, Any]
) -> None:
    with TestClient(api.application()) as client:
        assert client.post("/predict", json=a_post | {"text": "crash"}).status_code == 500
        assert client.post("/predict", json=a_post).status_code == 200
        text = client.get("/metrics").text
    assert 'covla_requests_total{route="/predict",status="500"} 1.0' in text


def test_a_slow_body_is_given_up(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.rest.app.READ_SECONDS", 0.05)
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(5)
        raise AssertionError("the request should have been given up")

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/predict",
        "headers": [(b"content-type", b"application/json")],
        "query_string": b"",
    }
    asyncio.run(api.application()(scope, receive, send))
    assert sent[0]["status"] == 408
