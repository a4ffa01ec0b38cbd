import io

import pytest

from covla.errors import CovlaError, PostError
from covla.json_lines import json_lines


def read(content: bytes, limit: int = 20) -> list[tuple[int, bytes | str]]:
    found = json_lines(io.BytesIO(content), limit, "posts.jsonl")
    return [(n, line.code if isinstance(line, PostError) else line) for n, line in found]


@pytest.mark.parametrize(
    "content",
    [
        b'{"a": 1}\n{"b": 2}\n',
        b'{"a": 1}\n{"b": 2}',
        b'\xef\xbb\xbf{"a": 1}\r\n{"b": 2}\r\n',
    ],
)
def test_lines_come_without_what_editors_add(content: bytes) -> None:
    assert read(content) == [(1, b'{"a": 1}'), (2, b'{"b": 2}')]


def test_blank_lines_count_and_are_passed_over() -> None:
    assert read(b"\n  \r\n{}\n\n") == [(3, b"{}")]
    assert read(b"\xef\xbb\xbf\n{}") == [(2, b"{}")]
    assert read(b"") == []


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
def test_a_line_over_the_limit_is_named_and_the_next_is_read(end: bytes) -> None:
    assert read(b"x" * 20 + end) == [(1, b"x" * 20)]
    assert read(b"x" * 21 + end) == [(1, "too_large")]
    assert read(b"x" * 5_000_000 + b"\n{}\n" + b"y" * 400 + end) == [
        (1, "too_large"), (2, b"{}"), (3, "too_large"),
    ]  # fmt: skip


class Endless(io.RawIOBase):
    """A line without an end, 300 MB of it; counts what is asked for at a time."""

    left, most = 300 << 20, 0

    def readline(self, size: int | None = -1, /) -> bytes:
        assert size is not None
        assert size >= 0
        self.most = max(self.most, size)
        take = min(size, self.left)
        self.left -= take
        return b"x" * take


def test_a_line_over_the_limit_is_never_held_whole() -> None:
    stream = Endless()
    (found,) = json_lines(stream, 1_000_000, "stdin")  # type: ignore[arg-type]
    assert isinstance(found[1], PostError)
    assert stream.most <= 2 << 20


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_another_encoding_is_named(encoding: str) -> None:
    with pytest.raises(CovlaError, match=r"posts.jsonl is not UTF-8 text. Save it as UTF-8"):
        read('{"a": 1}\n'.encode(encoding))
