"""A caller's post, to the JSON of the contract."""

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from covla.client.posts import BATCH_POSTS, batch_body, batches, post_json
from covla.errors import PostError
from covla.schemas.post import SocialPost
from covla.settings import Settings
from services.rest import requests as rest_requests

SETTINGS = Settings()
CONTENT = b"\x89PNG and more"


def _sent(post: Any) -> dict[str, Any]:
    value = json.loads(post_json(post, SETTINGS))
    assert isinstance(value, dict)
    return value


def test_a_batch_is_what_the_service_takes() -> None:
    assert BATCH_POSTS == rest_requests.BATCH_POSTS


def test_an_image_from_wherever_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a b%.png"
    path.write_bytes(CONTENT)
    coded = base64.b64encode(CONTENT).decode()
    for image in (CONTENT, bytearray(CONTENT), path, path.as_uri(), coded, {"data": coded}):
        assert _sent({"image": image})["image"] == {"data": coded}
    stored = {"uri": "file:///state/blobs/ab/cd"}
    assert _sent({"image": stored})["image"] == stored  # for the service to read


def test_what_is_not_given_is_made() -> None:
    first, second = _sent({"text": "x"}), _sent({"text": "x", "image": None})
    assert first["post_id"] != second["post_id"]
    assert abs((datetime.now(UTC) - datetime.fromisoformat(first["created_at"])).seconds) < 60
    named = {"post_id": "p", "created_at": "2026-05-01T12:00:00Z", "text": "x"}
    assert _sent(named) == named | {"schema_version": 1}
    assert _sent(SocialPost.from_dict(named)) == named | {"schema_version": 1}


@pytest.mark.parametrize(
    ("post", "field", "code"),
    [
        ({}, "message", "empty_post"),
        ({"text": 5}, "text", "string_type"),
        ({"text": "x", "created_at": "today"}, "created_at", "datetime_from_date_parsing"),
        ({"image": Path("no-such-file.png")}, "image", "unreadable_file"),
        ({"image": "file:///no/such/file.png"}, "image", "unreadable_file"),
        ({"image": Path()}, "image", "unreadable_file"),
        ({"image": "https://example.org/a.png"}, "image", "image_url"),
        ({"image": "file://elsewhere/a.png"}, "image", "image_url"),
        ({"image": "photo.jpg"}, "image", "image_source"),
        ({"image": 5}, "image", "image_source"),
        ({"image": b"x" * 1_000_000}, "message", "too_large"),
    ],
)
def test_what_cannot_be_sent_names_the_field(post: Any, field: str, code: str) -> None:
    with pytest.raises(PostError) as caught:
        post_json(post, SETTINGS)
    assert (caught.value.field, caught.value.code) == (field, code)


def test_batches_are_read_as_they_are_asked_for() -> None:
    taken = 0

    def posts() -> Any:
        nonlocal taken
        for i in range(70):
            taken += 1
            yield {"post_id": f"p-{i}", "text": "x"} if i != 40 else {}

    found = batches(posts(), SETTINGS)
    first = next(found)
    assert taken == 32
    second, third = found
    assert [len(batch) for batch in (first, second, third)] == [32, 32, 6]
    assert isinstance(second[8], PostError)
    assert [post["post_id"] for post in json.loads(batch_body(second))] == [
        f"p-{i}" for i in range(32, 64) if i != 40
    ]
    assert batch_body([PostError("a", "b", "c")]) == b""
