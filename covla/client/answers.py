"""Responses of the service, to predictions or to the error that they are."""

import email.utils
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any

import orjson
from pydantic import ValidationError

from covla.errors import CovlaError, PostError, ServiceUnavailable
from covla.schemas.explanation import Explained
from covla.schemas.prediction import Prediction
from covla.times import now

_OF_THE_POST = {400, 413, 415, 422}
_LATER = {429, 503}


class NotAllowed(CovlaError):
    """The service wants an API key, or another one. `code` is why: "no_key", "unknown_key",
    "revoked_key", "missing_scope"."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message, hint="Give api_key, or set COVLA_API_KEY")
        self.code = code


class TryLater(ServiceUnavailable):
    """The service answered 429 or 503, and went on with it until the deadline.

    `status` is the last one; `retry_after` is the seconds to wait by the service, or None.
    """

    def __init__(self, message: str, status: int, retry_after: float | None) -> None:
        super().__init__(message)
        self.status, self.retry_after = status, retry_after


@dataclass(frozen=True)
class Response:
    """An HTTP response that was read to its end."""

    address: str
    status: int
    headers: Mapping[str, str]
    content: bytes

    def checked(self) -> "Response":
        """Itself, when it is a success.

        Raises:
            PostError: the request as a whole was refused for what is in it.
            NotAllowed: 401 and 403.
            TryLater: 429 and 503.
            ServiceUnavailable: any other status but 200.
        """
        if self.status == 200:
            return self
        body = self._error()
        why, code = body.get("error", ""), body.get("code", "")
        message = f"{self.address} answered {self.status}" + (f": {why}" if why else "")
        if self.status in _OF_THE_POST and code:
            raise _post_error(body)
        if self.status in {401, 403}:
            raise NotAllowed(message, code)
        if self.status in _LATER:
            raise TryLater(message, self.status, _seconds(self.headers.get("retry-after")))
        raise ServiceUnavailable(message, hint="" if why else "Is it the address of `covla serve`?")

    def prediction(self) -> Prediction:
        """The prediction of one post.

        Raises:
            ServiceUnavailable: it is none.
        """
        try:
            return Prediction.from_json(self.content)
        except PostError as error:
            raise self._unreadable(error) from None

    def explained(self) -> Explained:
        """The prediction of one post, and why.

        Raises:
            ServiceUnavailable: it is none.
        """
        try:
            return Explained.model_validate_json(self.content)
        except ValidationError as error:
            raise self._unreadable(error.errors(include_url=False)[0]["msg"]) from None

    def results(self, batch: list[bytes | PostError]) -> list[Prediction | PostError]:
        """What became of each post of a batch, in its order: errors of before among them.

        Raises:
            ServiceUnavailable: it is no list of as many results as posts were sent.
        """
        sent = sum(isinstance(item, bytes) for item in batch)
        try:
            rows = orjson.loads(self.content)
            if not isinstance(rows, list) or len(rows) != sent:
                raise self._unreadable(f"expected a list of {sent} results")
            answered = iter(
                [_post_error(row) if "error" in row else Prediction.from_dict(row) for row in rows]
            )
        except (orjson.JSONDecodeError, PostError, TypeError, AttributeError) as error:
            raise self._unreadable(error) from None
        return [item if isinstance(item, PostError) else next(answered) for item in batch]

    def _error(self) -> dict[str, str]:
        try:
            body = orjson.loads(self.content)
        except orjson.JSONDecodeError:
            return {}  # of a gateway in between
        if not isinstance(body, dict):
            return {}
        return {key: str(value) for key, value in body.items()}

    def _unreadable(self, error: object) -> ServiceUnavailable:
        return ServiceUnavailable(
            f"{self.address} answered what cannot be read: {error}",
            hint="Is it the address of `covla serve`, and of the same release?",
        )


def _post_error(body: Mapping[str, Any]) -> PostError:
    field = str(body.get("field", ""))
    message = str(body.get("error", "")).removeprefix(f"{field}: ")
    return PostError(field, str(body.get("code", "")), message)


def _seconds(header: str | None) -> float | None:
    """Retry-After: seconds, or the time of an HTTP date; None where it is neither."""
    if header is None:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        then = email.utils.parsedate_to_datetime(header)
    except ValueError:
        return None
    aware = then if then.tzinfo else then.replace(tzinfo=UTC)
    return max(0.0, (aware - now()).total_seconds())
