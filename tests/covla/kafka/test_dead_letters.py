"""A dead letter keeps the original bytes and says where it came from."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covla.errors import PostError
from covla.kafka import dead_letters
from covla.kafka.records import Unreadable
from covla.schemas.label import parse_label
from covla.schemas.post import SocialPost, parse_post
from covla.settings import Settings


@dataclass
class Record:
    topic: str = "covla.posts"
    partition: int = 2
    offset: int = 41
    key: bytes | None = b"a"
    value: bytes | None = b"\xff not json"
    headers: list[tuple[str, bytes | None]] = field(default_factory=list)


@given(st.none() | st.binary(), st.none() | st.binary(), st.text(), st.integers(0, 2**60))
def test_round_trip(key: bytes | None, value: bytes | None, message: str, offset: int) -> None:
    record = Record(key=key, value=value, offset=offset)
    letter = dead_letters.make(record, PostError("text", "too_large", message), stage="parse")
    stored = Record("covla.dead-letters", 0, 7, letter.key, letter.value, [*letter.headers()])
    back = dead_letters.read(stored)
    assert (back.key, back.value) == (key, value)
    assert back.identity == ("covla.posts", 2, offset)
    assert (back.error_class, back.error_field, back.stage) == ("too_large", "text", "parse")


def test_a_record_is_parsed_or_becomes_a_dead_letter(offline_settings: Settings) -> None:
    good = b'{"post_id": "a", "created_at": "2026-05-01T00:00:00Z", "text": "x"}'
    post = dead_letters.parse_record(Record(value=good), parse_post, offline_settings)
    assert isinstance(post, SocialPost)
    assert post.post_id == "a"

    def unforeseen(*_: object) -> None:
        raise RecursionError

    unreadable = Unreadable()
    unreadable.reason = "its batch cannot be read"
    for value, parser, error_class in (
        (b"{bad", parse_post, "not_json"),
        (None, parse_label, "empty"),
        (unreadable, parse_post, "unreadable_batch"),
        (good, unforeseen, "RecursionError"),
    ):
        letter = dead_letters.parse_record(Record(value=value), parser, offline_settings)
        assert isinstance(letter, dead_letters.DeadLetter)
        assert (letter.error_class, letter.stage) == (error_class, "parse")

    def no_memory(*_: object) -> None:
        raise MemoryError

    with pytest.raises(MemoryError):
        dead_letters.parse_record(Record(value=good), no_memory, offline_settings)


def test_an_unforeseen_error_keeps_its_class() -> None:
    letter = dead_letters.make(Record(), ZeroDivisionError("oops"), stage="predict")
    assert letter.error_class == "ZeroDivisionError"
    assert "oops" in letter.error_message


def test_replays_are_counted() -> None:
    letter = dead_letters.make(
        Record(headers=[("replays", b"2")]), PostError("a", "b", "c"), stage="parse"
    )
    assert letter.replays == 2


@pytest.mark.parametrize(
    "value", [b"first try", b"", b"-1", b"1.0", b"\xff", "\u0663".encode(), b"9" * 5000, None]
)
def test_a_header_of_another_program_counts_as_absent(value: bytes | None) -> None:
    record = Record(headers=[("replays", value), ("x", None)])
    assert dead_letters.make(record, PostError("a", "b", "c"), stage="parse").replays == 0


def test_a_letter_that_is_too_large_says_the_size_and_the_place() -> None:
    record = Record(key=b"k" * 5000, value=b"x" * 4_300_000)
    letter = dead_letters.make(record, PostError("message", "too_large", "no"), stage="parse")
    assert letter.within(10_000_000) is letter
    short = letter.within(3_000_000)
    assert short is not None
    assert (short.key, short.value, short.left_out) == (None, None, 4_300_000)
    assert short.message_key == b""
    assert "4,300,000 bytes" in short.error_message
    assert "covla.posts:2:41" in short.error_message
    assert short.size() < 3000
    assert letter.within(300) is None
    stored = Record("covla.dead-letters", 0, 7, b"", None, [*short.headers()])
    assert dead_letters.read(stored).left_out == 4_300_000


def test_an_error_that_quotes_the_record_can_be_written() -> None:
    error = PostError("a\ud800" * 500, "b", "\ud800" + "x" * 5000)
    letter = dead_letters.make(Record(), error, stage="parse")
    assert letter.size() < 20_000
    assert dict(letter.headers())["error-message"].startswith(b"a\\ud800")


def test_a_record_of_a_batch_that_cannot_be_read_has_no_value() -> None:
    value = Unreadable()
    value.reason = "its batch cannot be read"
    letter = dead_letters.make(Record(value=value), PostError("a", "b", "c"), stage="parse")
    assert (letter.value, letter.left_out) == (None, 0)


def test_a_foreign_record_is_refused() -> None:
    with pytest.raises(PostError, match="source-topic"):
        dead_letters.read(Record())
