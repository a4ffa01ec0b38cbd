"""`POST /explain`: the limits and errors of /predict, JSON or PNG, few at a time."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest
from starlette.testclient import TestClient

from covla.schemas.post import SocialPost
from covla.settings import Settings
from services.rest.app import Api
from services.rest.explain import WAITING, Explanations, wants_image
from services.rest.queue import Overloaded, PredictionQueue


@pytest.fixture
def api(echo: Any, offline_settings: Settings) -> Iterator[Api]:
    api = Api(offline_settings)
    api.queue = PredictionQueue(lambda: echo, capacity=4)
    api.explanations = Explanations(echo.explain)
    yield api
    echo.gate.set()
    api.explanations.close()
    api.queue.close()


@pytest.fixture
def client(api: Api) -> Iterator[TestClient]:
    with TestClient(api.application()) as client:
        yield client


def test_json_by_default_and_a_picture_where_it_is_asked_for(
    client: TestClient, a_post: dict[str, Any]
) -> None:
    answer = client.post("/explain", json=a_post)
    assert answer.status_code == 200
    assert answer.headers["model-version"] == "echo-1"
    assert answer.headers["vary"] == "Accept"
    assert answer.json()["prediction"]["post_id"] == "p-1"
    assert answer.json()["explanation"]["attention"] is None
    form = client.post("/explain", data={"text": "x"}, files={"image": ("a.png", b"123")})
    assert form.json()["explanation"]["attention"]["row"] == 6
    disposition = b"--b\r\nContent-Disposition: form-data; name="
    body = disposition + b'"text"\r\n\r\nx\r\n' + disposition + b'"image"; filename=""\r\n\r\n'
    kind = {"content-type": "multipart/form-data; boundary=b"}
    no_file = client.post("/explain", content=body + b"\r\n--b--\r\n", headers=kind)
    assert no_file.json()["prediction"]["modalities"] == ["text"]
    drawn = client.post("/explain", json=a_post, headers={"accept": "image/png"})
    assert drawn.headers["content-type"] == "image/png"
    assert drawn.content.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("accept", "image"),
    [
        ("", False),
        ("*/*", False),
        ("image/png", True),
        ("image/*", True),
        ("application/json, image/png", False),
        ("application/json;q=0.5, image/png", True),
        ("image/png;q=0.1, */*", False),
        ("text/html,application/xhtml+xml,image/avif,*/*;q=0.8", False),
        ("image/png;q=nonsense", False),
    ],
)
def test_what_accept_asks_for(accept: str, image: bool) -> None:
    assert wants_image(accept) is image


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (b"{not json", 400, "message"),
        (b'{"post_id": "p", "created_at": "2026-05-01T12:00:00Z"}', 422, "message"),
        (b" " * 1_000_001, 413, "body"),
        (json.dumps({"post_id": "p", "created_at": "2026-05-01T12:00:00Z", "text": "refuse"}), 422,
         "image"),
    ],
)  # fmt: skip
def test_errors_are_those_of_predict(
    client: TestClient, body: bytes, status: int, field: str
) -> None:
    headers = {"content-type": "application/json"}
    answers = [
        client.post(path, content=body, headers=headers) for path in ("/explain", "/predict")
    ]
    assert [answer.status_code for answer in answers] == [status, status]
    assert answers[0].json() == answers[1].json()
    assert answers[0].json()["field"] == field


def test_more_than_a_few_are_turned_away_and_predictions_go_on(
    echo: Any, api: Api, a_post: dict[str, Any]
) -> None:
    held = threading.Event()
    began = threading.Event()

    def slow(post: SocialPost, image: bool) -> Any:
        began.set()
        assert held.wait(20)
        return echo.explain(post, image)

    api.explanations.close()
    api.explanations = Explanations(slow)
    post = SocialPost.from_dict(a_post)
    accepted: list[Future[Any]] = [
        api.explanations.submit(post, image=False) for _ in range(WAITING)
    ]
    assert began.wait(20)
    with TestClient(api.application()) as client:
        busy = client.post("/explain", json=a_post)
        assert (busy.status_code, busy.json()["code"]) == (429, "overloaded")
        assert int(busy.headers["retry-after"]) >= 1
        assert client.post("/predict", json=a_post).status_code == 200
        accepted[-1].cancel()  # its client went away: there is room again
        held.set()
        assert client.post("/explain", json=a_post).status_code == 200
    assert all(future.result(20).version == "echo-1" for future in accepted[:-1])
    api.explanations.close()
    with pytest.raises(Overloaded):
        api.explanations.submit(post, image=False)


def test_the_api_document_describes_it(client: TestClient, a_post: dict[str, Any]) -> None:
    document = client.get("/docs.json").json()
    content = document["paths"]["/explain"]["post"]["responses"]["200"]["content"]
    assert set(content) == {"application/json", "image/png"}
    schemas = document["components"]["schemas"]
    answer = client.post("/explain", json=a_post).json()
    assert set(answer) == set(schemas["Explained"]["properties"])
    assert set(answer["explanation"]) == set(schemas["Explanation"]["properties"])
