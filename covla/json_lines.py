"""JSON lines as people write them: with a mark at the start, CRLF, blank or far too long lines."""

from collections.abc import Iterator
from typing import BinaryIO

from covla.errors import CovlaError, PostError

UTF8_MARK = b"\xef\xbb\xbf"
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")

Line = tuple[int, bytes | PostError]


def json_lines(stream: BinaryIO, limit: int, name: str) -> Iterator[Line]:
    """The lines of `stream` by number, without their ends; blank ones are passed over.

    A line of more than `limit` bytes becomes a PostError and is never held in memory.

    Raises:
        CovlaError: the stream is UTF-16 or UTF-32 text; `name` says which one.
    """
    number = 0
    while line := stream.readline(limit + 2):
        number += 1
        whole = line.endswith(b"\n")
        if number == 1:
            if line.startswith(UTF16_MARKS) or b"\0" in line[:4]:
                raise CovlaError(f"{name} is not UTF-8 text", hint="Save it as UTF-8")
            line = line.removeprefix(UTF8_MARK)
        line = line.rstrip(b"\r\n")
        if len(line) > limit:
            while not whole and (rest := stream.readline(1 << 20)):
                whole = rest.endswith(b"\n")
            yield number, PostError("message", "too_large", f"more than {limit} bytes in one line")
        elif line.strip():
            yield number, line
