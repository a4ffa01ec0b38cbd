"""The wire contracts: what is taken, what is refused, and that the refusal names the field."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covla.errors import PostError
from covla.schemas.label import PostLabel, parse_label
from covla.schemas.post import SocialPost, parse_post
from covla.schemas.prediction import Prediction
from covla.settings import Settings

GOOD = {"schema_version": 1, "post_id": "a", "created_at": "2026-05-01T12:00:00Z", "text": "hi"}


def raw(**changes: object) -> bytes:
    return json.dumps({**GOOD, **changes}).encode()


def test_a_post_survives_the_wire() -> None:
    post = parse_post(raw(image={"data": base64.b64encode(b"x").decode()}, unknown="passed over"))
    assert SocialPost.from_json(post.to_json()) == post


@pytest.mark.parametrize(
    ("message", "field", "code"),
    [
        (None, "message", "empty"),
        (b"", "message", "not_json"),
        (b"{", "message", "not_json"),
        (b"\xff\xfe{}", "message", "not_json"),
        (b"[1]", "message", "not_an_object"),
        (b"[" * 100_000, "message", "not_json"),
        (raw().replace(b'"hi"', b"NaN"), "message", "not_json"),
        (raw(schema_version=2), "schema_version", "literal_error"),
        (raw(post_id=7), "post_id", "string_type"),
        (raw(post_id=""), "post_id", "string_too_short"),
        (raw(post_id="x" * 129), "post_id", "string_too_long"),
        (raw(created_at=1_690_000_000), "created_at", "value_error"),
        (raw(created_at="yesterday"), "created_at", "datetime_from_date_parsing"),
        (raw(created_at="2026-05-01T12:00:00"), "created_at", "timezone_aware"),
        (raw(text=None), "text", "string_type"),
        (raw(text=["a"]), "text", "string_type"),
        (raw(text="x" * 4001), "text", "too_large"),
        (raw(text="   "), "message", "empty_post"),
        (raw(image="photo.jpg"), "image", "model_type"),
        (raw(image={}), "image", "image_source"),
        (raw(image={"data": "eA==", "uri": "file:///x"}), "image", "image_source"),
        (raw(image={"uri": "http://localhost/x.jpg"}), "image", "image_url"),
        (raw(image={"uri": "HTTPS://example.org/x.jpg"}), "image", "image_url"),
        (raw(image={"data": "A" * 700_001}), "image.data", "too_large"),
        (raw(image={"data": 12345678901234567890123}), "image.data", "string_type"),
    ],
)
def test_a_bad_post_is_refused_by_field(message: bytes | None, field: str, code: str) -> None:
    with pytest.raises(PostError) as refused:
        parse_post(message)
    assert (refused.value.field, refused.value.code) == (field, code)
    assert field in str(refused.value)


def test_a_message_over_the_limit_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(PostError, match="at most 10"):
        parse_post(b"{" * 11, Settings(max_message_bytes=10))


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_give_a_post_or_a_post_error(message: bytes) -> None:
    try:
        parse_post(message)
    except PostError as error:
        assert error.field


_scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
_values = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner)
)
_NAMES = ("schema_version", "post_id", "created_at", "text", "image", "lang", "author_id")
_LABEL_NAMES = ("schema_version", "post_id", "label", "labelled_at", "source")


@given(st.dictionaries(st.sampled_from(_NAMES), _values | st.sampled_from([*GOOD.values()])))
def test_any_object_gives_a_post_that_survives_or_a_post_error(value: dict[str, Any]) -> None:
    for read in (
        lambda: SocialPost.from_dict(value).check_limits(Settings()),
        lambda: parse_post(json.dumps(value).encode()),
    ):
        try:
            post = read()
        except PostError as error:
            assert error.field
        else:
            assert parse_post(post.to_json()) == post


@given(
    st.dictionaries(st.sampled_from(_LABEL_NAMES), _values | st.sampled_from([*GOOD.values()])),
    st.binary(max_size=100),
)
def test_any_object_gives_a_label_or_a_post_error(value: dict[str, Any], raw: bytes) -> None:
    for message in (json.dumps(value).encode(), raw, None, b"\xef\xbb\xbf{}", b"[" * 5000):
        try:
            label = parse_label(message, Settings())
        except PostError as error:
            assert error.field
        else:
            assert parse_label(label.to_json(), Settings()) == label


@given(st.text(min_size=1, max_size=100))
def test_any_text_survives_or_is_refused(text: str) -> None:
    try:
        post = SocialPost.from_dict({**GOOD, "text": text})
    except PostError as error:
        assert error.field in {"text", "message"}
    else:
        assert parse_post(post.to_json()).text == text


def test_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(PostError, match="Unicode"):
        SocialPost.from_dict({**GOOD, "text": "a\ud800"})


def test_labels_and_prediction_ids() -> None:
    label = PostLabel.from_json(
        b'{"post_id":"a","label":"home","labelled_at":"2026-05-01T12:00:00+02:00"}'
    )
    assert label.label == "home"
    assert Prediction.id_for("a", "1") == Prediction.id_for("a", "1")
    assert Prediction.id_for("a", "1") != Prediction.id_for("a", "2")
    assert Prediction.id_for("a1", "2") != Prediction.id_for("a", "12")
