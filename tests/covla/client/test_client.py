"""Both clients against answers as a service and gateways give them."""

import subprocess
import sys
import time
from email.utils import formatdate
from typing import Any

import pytest

from covla.client import (
    CovlaError,
    NotAllowed,
    PostError,
    ServiceUnavailable,
    TryLater,
)
from covla.schemas.prediction import Prediction

POST = {"text": "x"}
BUSY = {"error": "40 posts are waiting already", "field": "", "code": "overloaded"}


def test_importing_it_loads_no_model() -> None:
    probe = (
        "import sys; from covla.client import Client, AsyncClient; Client().close();"
        "heavy = {'torch','transformers','mlflow','bentoml','feast','pandas','kafka','starlette',"
        "'openvino','numpy'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_prediction_is_typed_and_the_key_goes_along(
    client_of: Any, scripted: Any, prediction: Any
) -> None:
    scripted.answer(200, prediction)
    answer = client_of(scripted.address + "/", api_key="covla_1_2").predict(POST)
    assert isinstance(answer, Prediction)
    assert (answer.label, answer.probabilities["home"]) == ("home", 0.75)
    path, headers, body = scripted.asked[0]
    assert (path, body["text"]) == ("/predict", "x")
    assert headers["authorization"] == "Bearer covla_1_2"
    assert headers["content-type"] == "application/json"
    assert float(headers["timeout"]) == 30


def test_key_and_address_come_from_the_settings(
    client_of: Any, scripted: Any, prediction: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted.answer(200, prediction)
    monkeypatch.setenv("COVLA_API_KEY", "covla_3_4")
    monkeypatch.setenv("COVLA_REST_PORT", scripted.address.rpartition(":")[2])
    client_of().predict(POST)
    client_of(api_key="").predict(POST)
    assert [asked[1].get("authorization") for asked in scripted.asked] == ["Bearer covla_3_4", None]


def test_each_post_of_many_has_its_result_in_its_place(
    client_of: Any, scripted: Any, prediction: Any
) -> None:
    refused = {"error": "image: cannot be decoded", "field": "image", "code": "unreadable_image"}
    scripted.answer(200, [prediction] * 30 + [refused])  # 31 of 32 could be sent
    scripted.answer(200, [prediction | {"post_id": "last"}])
    posts = [POST] * 3 + [{"image": "https://example.org/"}] + [POST] * 29
    results = client_of(scripted.address).predict_many(iter(posts))
    assert [i for i, result in enumerate(results) if isinstance(result, PostError)] == [3, 31]
    assert (results[3].code, results[31].code) == ("image_url", "unreadable_image")
    assert str(results[31]) == "image: cannot be decoded"
    assert results[32].post_id == "last"
    assert [len(asked[2]) for asked in scripted.asked] == [31, 1]


def test_posts_that_cannot_be_sent_ask_nothing(client_of: Any, scripted: Any) -> None:
    client = client_of(scripted.address)
    assert client.predict_many([]) == []
    assert [result.code for result in client.predict_many([{}, {}])] == ["empty_post"] * 2
    assert scripted.asked == []


def test_a_refused_post_is_a_post_error(client_of: Any, scripted: Any) -> None:
    body = {"error": "image.data: too much", "field": "image.data", "code": "too_large"}
    scripted.answer(413, body)
    with pytest.raises(PostError, match="^image.data: too much$") as caught:
        client_of(scripted.address).predict(POST)
    assert (caught.value.field, caught.value.code) == ("image.data", "too_large")


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_does_not_fit_says_so_at_once(
    client_of: Any, scripted: Any, status: int
) -> None:
    scripted.answer(status, {"error": "not for /explain", "field": "", "code": "missing_scope"})
    with pytest.raises(NotAllowed, match=rf"answered {status}: not for /explain\. .*COVLA_API_KEY"):
        client_of(scripted.address).explain(POST)
    assert len(scripted.asked) == 1


def test_busy_and_unavailable_are_tried_again_when_the_service_says(
    client_of: Any, scripted: Any, prediction: Any
) -> None:
    scripted.answer(429, BUSY, Retry_After="1")
    scripted.answer(503, b"<html>", Retry_After=formatdate(time.time() - 5, usegmt=True))
    scripted.answer(503, b"")
    scripted.answer(200, prediction)
    started = time.monotonic()
    assert client_of(scripted.address).predict(POST).label == "home"
    assert 1.3 < time.monotonic() - started < 10
    assert len({body["post_id"] for _, _, body in scripted.asked}) == 1
    assert len(scripted.asked) == 4


def test_what_would_come_after_the_deadline_is_not_waited_for(
    client_of: Any, scripted: Any
) -> None:
    scripted.answer(429, BUSY, Retry_After="60")
    started = time.monotonic()
    with pytest.raises(TryLater, match="answered 429: 40 posts are waiting") as caught:
        client_of(scripted.address, deadline=20).predict_many([POST])
    assert time.monotonic() - started < 5
    assert (caught.value.status, caught.value.retry_after) == (429, 60)
    assert caught.value.exit_code == 3
    assert len(scripted.asked) == 1


def test_an_answer_that_trickles_in_ends_at_the_deadline(
    client_of: Any, scripted: Any, prediction: Any
) -> None:
    scripted.trickle = 0.05  # fast enough for the timeout of each part
    scripted.answer(200, prediction)
    started = time.monotonic()
    with pytest.raises(ServiceUnavailable, match="did not answer within 1 s"):
        client_of(scripted.address, timeout=5, deadline=1).predict(POST)
    assert time.monotonic() - started < 3


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (200, b"<html>", "answered what cannot be read"),
        (200, {"label": "home"}, "answered what cannot be read"),
        (404, b"", "answered 404. Is it the address of `covla serve`"),
        (302, b"", "answered 302"),
        (413, b"<html>", "answered 413"),
        (500, {"error": "internal error", "field": "", "code": "internal"}, "500: internal error"),
    ],
)
def test_an_answer_of_something_else_is_one_line(
    client_of: Any, scripted: Any, status: int, body: Any, why: str
) -> None:
    scripted.answer(status, body, Location="http://127.0.0.1:9/")
    client = client_of(scripted.address)
    for ask in (client.predict, client.explain, lambda post: client.predict_many([post])):
        with pytest.raises(ServiceUnavailable, match=why):
            ask(POST)


@pytest.mark.parametrize("body", [[], [5], ["an error"], [[]], {}], ids=str)
def test_a_batch_of_another_form_is_one_line(client_of: Any, scripted: Any, body: Any) -> None:
    scripted.answer(200, body)
    with pytest.raises(ServiceUnavailable, match="answered what cannot be read"):
        client_of(scripted.address).predict_many([POST])


def test_where_nobody_listens_it_says_so(client_of: Any) -> None:
    with pytest.raises(ServiceUnavailable, match="does not answer: .*Is `covla serve` running"):
        client_of("http://127.0.0.1:9").predict(POST)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"address": "localhost:3000"}, "no http:// or https:// address"),
        ({"address": "http://"}, "no http:// or https:// address"),
        ({"address": "http://[::1"}, "no http:// or https:// address"),
        ({"api_key": "ключ"}, "characters in it that no key has"),
        ({"api_key": "a\nb"}, "characters in it that no key has"),
        ({"deadline": 0}, "more than 0"),
        ({"timeout": -1}, "more than 0"),
    ],
)
def test_arguments_that_cannot_be_used_are_refused_at_once(
    client_of: Any, options: dict[str, Any], why: str
) -> None:
    with pytest.raises(CovlaError, match=why):
        client_of(**options)
