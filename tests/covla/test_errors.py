"""What one item's content makes a library raise is that item's; what the machine lacks is not."""

import errno
import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from safetensors.numpy import save_file

from covla.errors import (
    CovlaError,
    PostError,
    ServiceUnavailable,
    content_errors,
    exit_code_of,
    system_error,
)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("odd"),
        struct.error("argument out of range"),
        zlib.error("Error -3"),
        SyntaxError("broken PNG file"),
        EOFError(),
        ZeroDivisionError("division by zero"),
        TypeError("odd"),
        RecursionError("maximum recursion depth exceeded"),
        UserWarning("Corrupt EXIF data"),
        OSError("image file is truncated"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    ],
)
def test_what_content_raises_is_the_posts_error(error: Exception) -> None:
    with pytest.raises(PostError) as refused, content_errors("image", "unreadable", "is odd"):
        raise error
    assert (refused.value.field, refused.value.code) == ("image", "unreadable")
    assert str(refused.value).startswith("image: is odd: ")
    assert str(refused.value) != "image: is odd: "


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.EIO, "Input/output error"),
        PermissionError(errno.EACCES, "Permission denied"),
        ImportError("no codec"),
        PostError("text", "too_large", "too much"),
        ServiceUnavailable("the store does not answer"),
        CovlaError("a setting"),
        KeyboardInterrupt(),
    ],
)
def test_what_is_no_fault_of_the_content_passes(error: BaseException) -> None:
    with pytest.raises(type(error)) as raised, content_errors("image", "unreadable", "is odd"):
        raise error
    assert raised.value is error


def test_too_little_memory_is_known_by_its_words_too() -> None:
    with pytest.raises(MemoryError), content_errors("image", "unreadable", "is odd"):
        raise OSError("out of memory error when reading image file")  # as Pillow has it
    with pytest.raises(MemoryError), content_errors("image", "unreadable", "is odd"):
        raise cv2.error("OpenCV: error: (-4:Insufficient memory) Failed to allocate 1 bytes")


def test_a_message_has_no_address_and_one_line() -> None:
    messages = set()
    for file in (io.BytesIO(b"a"), io.BytesIO(b"b")):
        with pytest.raises(PostError) as refused, content_errors("image", "unreadable", "is odd"):
            raise ValueError(f"cannot identify\n image file {file!r} or {object()!r} 0x7f01020304")
        messages.add(str(refused.value))
    assert messages == {"image: is odd: cannot identify image file or"}


def test_errors_of_opencv_are_the_posts() -> None:
    with pytest.raises(PostError), content_errors("image", "unreadable", "is odd"):
        cv2.resize(np.zeros((0, 0), np.uint8), (1, 1))


def test_a_full_disk_in_a_librarys_words_is_the_machines(tmp_path: Path) -> None:
    wrapped = RuntimeError("Error while serializing: I/O error: No space left (os error 28)")
    found = system_error(wrapped)
    assert found is not None
    assert (found.errno, exit_code_of(found)) == (errno.ENOSPC, 3)
    with pytest.raises(Exception, match="os error") as refused:
        save_file({"a": np.zeros(1)}, tmp_path / "no such folder" / "model.safetensors")
    missing = system_error(refused.value)
    assert missing is not None
    assert (missing.errno, exit_code_of(missing)) == (errno.ENOENT, 2)
    assert system_error(ValueError("a bug")) is None
