"""What every wire contract is: strict, frozen, RFC 3339 times, errors that name a field."""

from typing import Annotated, Any, Literal, Self

import orjson
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from covla.errors import PostError
from covla.settings import Settings
from covla.times import rfc_3339

Timestamp = Annotated[AwareDatetime, BeforeValidator(rfc_3339), Field(strict=False)]
PostId = Annotated[str, Field(min_length=1, max_length=128)]


class Contract(BaseModel):
    # Unknown fields are passed over, so that a producer may add one before its readers know it.
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    schema_version: Literal[1] = 1

    def to_json(self) -> bytes:
        """The message value: UTF-8 JSON, times in RFC 3339 UTC."""
        return orjson.dumps(self.model_dump(mode="json", exclude_none=True))

    @classmethod
    def from_json(cls, raw: bytes | None) -> Self:
        """Read a message value.

        Raises:
            PostError: not JSON, a wrong type, a missing or unacceptable field; it names the field.
        """
        if raw is None:
            raise PostError("message", "empty", "the value is null; expected a JSON object")
        return cls.from_dict(json_object(raw))

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Self:
        """As `from_json`, from an object that is parsed already."""
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field = ".".join(str(part) for part in first["loc"]) or "message"
            message = first["msg"].removeprefix("Value error, ")
            code = first["type"]
            if code == "value_error" and ": " in message:  # raised below as "code: message"
                code, message = message.split(": ", 1)
            raise PostError(field, code, message) from None


def json_object(raw: bytes) -> dict[str, Any]:
    """The fields of a JSON object, not checked yet.

    Raises:
        PostError: it is not JSON, or no object.
    """
    try:
        value = orjson.loads(raw)  # refuses NaN, bad UTF-8 and deep nesting
    except orjson.JSONDecodeError as error:
        raise PostError("message", "not_json", f"is no valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise PostError("message", "not_an_object", "expected a JSON object")
    return value


def check_size(raw: bytes | None, settings: Settings) -> None:
    """Hold a message value against `max_message_bytes` before it is parsed.

    Raises:
        PostError: it is larger.
    """
    if raw is not None and len(raw) > settings.max_message_bytes:
        raise PostError(
            "message", "too_large", f"{len(raw)} bytes; at most {settings.max_message_bytes}"
        )
