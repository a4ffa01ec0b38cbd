"""Errors that a person is meant to read: one line that says what to do, and an exit code."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

# What of a library's message differs between two runs on the same input.
_ADDRESS = re.compile(r"<[^<>]* at 0x[0-9a-fA-F]+>|0x[0-9a-fA-F]{6,}")

# Pillow says it with an OSError, OpenCV with an error of its own.
_NO_MEMORY = re.compile(r"^out of memory|\(-4:Insufficient memory\)")


class CovlaError(Exception):
    """Something the caller can put right.

    `hint` says how. `exit_code` is what the command line ends with: 2 for wrong use or bad
    input, 3 for a service that is not there, 4 for a gate or check that said no.
    """

    exit_code = 2

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message}. {self.hint}" if self.hint else message


class TooFew(CovlaError):
    """Good input, and too little of it: a quiet hour. A schedule passes over it."""


class ServiceUnavailable(CovlaError):
    """A broker, server or store that should answer does not."""

    exit_code = 3


class DeviceFailed(ServiceUnavailable):
    """The GPU failed under this process, which can use it no more; a process that starts can."""


class Refused(CovlaError):
    """A gate, a validation or a check looked at valid input and said no."""

    exit_code = 4


class PostError(CovlaError):
    """One item that cannot be used; its neighbours are not affected.

    `field` is the JSON path of the offending field ("image.data"), `code` a stable word for
    counting ("not_json", "too_large", "unreadable_image" ...).
    """

    def __init__(self, field: str, code: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.code = code

    def __reduce__(self) -> tuple[type["PostError"], tuple[str, str, str]]:
        # It travels between processes, and is made there from what it was made from here.
        return PostError, (self.field, self.code, self.args[0].removeprefix(f"{self.field}: "))


@contextmanager
def content_errors(field: str, code: str, message: str) -> Iterator[None]:
    """Around a decoder or parser: whatever one item's content makes it raise becomes a PostError.

    An error of the machine passes as it is: too little memory, a library that is not there, and an
    OSError with a number of the system, which decoders never set.

    Args:
        field: JSON path of the field whose content is read.
        code: stable word for counting.
        message: what cannot be done; the library's own words are put after it.

    Raises:
        PostError: equal content gives an equal message.
    """
    try:
        yield
    except (CovlaError, MemoryError, ImportError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        if _NO_MEMORY.search(str(error)):
            raise MemoryError(str(error)) from error
        words = " ".join(_ADDRESS.sub("", str(error)).split())[:200]
        raise PostError(field, code, f"{message}: {words or type(error).__name__}") from None


# Of the machine, and for a while: a full disk or quota, a failing device, no memory, no free file.
_MACHINE = {
    errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE,
}  # fmt: skip


def system_error(error: Exception) -> OSError | None:
    """The operating system's error that `error` is, or that a library in Rust put in words
    ("... (os error 28)", as safetensors on a full disk); None for any other."""
    if isinstance(error, OSError):
        return error
    found = re.search(r"\(os error (\d+)\)", str(error))
    return OSError(int(found[1]), os.strerror(int(found[1]))) if found else None


def exit_code_of(error: OSError) -> int:
    """3 where another try may go well once the machine is mended, 2 where a person must act."""
    return ServiceUnavailable.exit_code if error.errno in _MACHINE else CovlaError.exit_code
