"""Forms as browsers send them: what was left empty is not there, what cannot be used is named."""

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from covla.settings import Settings
from services.rest.app import Api
from services.rest.queue import PredictionQueue


@pytest.fixture
def client(echo: Any, offline_settings: Settings) -> Iterator[TestClient]:
    api = Api(offline_settings)
    api.queue = PredictionQueue(lambda: echo, capacity=40)
    with TestClient(api.application()) as client:
        yield client
    echo.gate.set()
    api.queue.close()


def _multipart(*parts: tuple[str, str | None, bytes]) -> dict[str, Any]:
    """A body as a browser writes it; a part with a file name, be it empty, is a file part."""
    body = b""
    for name, file, content in parts:
        head = f'--b\r\nContent-Disposition: form-data; name="{name}"'
        if file is not None:
            head += f'; filename="{file}"\r\nContent-Type: application/octet-stream'
        body += head.encode() + b"\r\n\r\n" + content + b"\r\n"
    return {
        "content": body + b"--b--\r\n",
        "headers": {"content-type": "multipart/form-data; boundary=b"},
    }


NO_FILE = ("image", "", b"")


@pytest.mark.parametrize(
    ("parts", "characters", "image"),
    [
        ([("text", None, b"words"), NO_FILE], 5, False),
        ([NO_FILE, ("text", None, b"words")], 5, False),
        ([("text", None, b"words"), NO_FILE, ("image", "a.png", b"123")], 5, True),
        ([("text", None, b"words"), ("image", "", b"123")], 5, True),
        ([("text", None, b""), ("image", "a.png", b"123")], 0, True),
        ([("text", None, b"words"), NO_FILE, ("other", "", b"")], 5, False),
        ([("text", None, b"words"), ("image", None, b"")], 5, False),
        ([("text", "", b""), ("image", "a.png", b"123")], 0, True),
    ],
)
def test_a_form_with_no_file_chosen_is_its_text(
    client: TestClient,
    parts: list[tuple[str, str | None, bytes]],
    characters: int,
    image: bool,
) -> None:
    answer = client.post("/predict", **_multipart(*parts))
    assert answer.status_code == 200
    assert answer.json()["quality"]["text_characters"] == characters
    assert ("image" in answer.json()["modalities"]) is image


@pytest.mark.parametrize(
    ("parts", "status", "field", "code"),
    [
        ([NO_FILE], 422, "message", "empty_post"),
        ([("text", None, b" "), NO_FILE], 422, "message", "empty_post"),
        ([("text", None, b"x"), ("image", None, b"123")], 400, "image", "bad_form"),
        ([("text", "a.txt", b"x"), ("image", "a.png", b"1")], 400, "text", "bad_form"),
        ([("image", "a.png", b"1"), ("image", "b.png", b"2")], 400, "image", "bad_form"),
    ],
)
def test_a_form_that_cannot_be_used_names_the_field(
    client: TestClient,
    parts: list[tuple[str, str | None, bytes]],
    status: int,
    field: str,
    code: str,
) -> None:
    answer = client.post("/predict", **_multipart(*parts))
    error = answer.json()
    assert (answer.status_code, error["field"], error["code"]) == (status, field, code)
