"""Errors that a person is meant to read: one line that says what to do, and an exit code."""


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


class ServiceUnavailable(CovlaError):
    """A broker, server or store that should answer does not."""

    exit_code = 3


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
