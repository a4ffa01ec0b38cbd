"""A dead letter keeps the original bytes and says where it came from."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covla import dead_letters
from covla.errors import PostError


@dataclass
class Record:
    topic: str = "covla.posts"
    partition: int = 2
    offset: int = 41
    key: bytes | None = b"a"
    value: bytes | None = b"\xff not json"
    headers: list[tuple[str, bytes]] = field(default_factory=list)


@given(st.none() | st.binary(), st.none() | st.binary(), st.text(), st.integers(0, 2**60))
def test_round_trip(key: bytes | None, value: bytes | None, message: str, offset: int) -> None:
    record = Record(key=key, value=value, offset=offset)
    letter = dead_letters.make(record, PostError("text", "too_large", message), stage="parse")
    stored = Record("covla.dead-letters", 0, 7, letter.key, letter.value, letter.headers())
    back = dead_letters.read(stored)
    assert (back.key, back.value) == (key, value)
    assert back.identity == ("covla.posts", 2, offset)
    assert (back.error_class, back.error_field, back.stage) == ("too_large", "text", "parse")


def test_an_unforeseen_error_keeps_its_class() -> None:
    letter = dead_letters.make(Record(), ZeroDivisionError("oops"), stage="predict")
    assert letter.error_class == "ZeroDivisionError"
    assert "oops" in letter.error_message


def test_replays_are_counted() -> None:
    letter = dead_letters.make(
        Record(headers=[("replays", b"2")]), PostError("a", "b", "c"), stage="parse"
    )
    assert letter.replays == 2


def test_a_foreign_record_is_refused() -> None:
    with pytest.raises(PostError, match="source-topic"):
        dead_letters.read(Record())
