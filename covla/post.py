"""The wire contracts: SocialPost, PostLabel, Prediction. docs/contracts/ is written from here."""

import hashlib
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

import orjson
from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from covla.errors import PostError
from covla.settings import Settings, get_settings
from covla.times import check_time, rfc_3339
from covla.words import visible


def _storable(value: str) -> str:
    # A lone surrogate cannot be encoded again: it would break the lake and the tokenizer.
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError("has a lone surrogate, which is no valid Unicode text")
    return value


Timestamp = Annotated[AwareDatetime, BeforeValidator(rfc_3339), Field(strict=False)]
PostId = Annotated[str, Field(min_length=1, max_length=128)]


class _Contract(BaseModel):
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
        try:
            value = orjson.loads(raw)  # refuses NaN, bad UTF-8 and deep nesting
        except orjson.JSONDecodeError as error:
            raise PostError("message", "not_json", f"is no valid JSON: {error}") from None
        if not isinstance(value, dict):
            raise PostError("message", "not_an_object", "expected a JSON object")
        return cls.from_dict(value)

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


class Image(BaseModel):
    """A picture: in the message (`data`), or in the configured blob store (`uri`)."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    data: str | None = Field(None, description="base64, at most 700,000 characters")
    uri: str | None = Field(None, max_length=1024, description="Address inside the blob root")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.data is None) == (self.uri is None):
            raise ValueError("image_source: give exactly one of data and uri")
        if self.uri is not None and self.uri.split(":", 1)[0].lower() in {"http", "https", "ftp"}:
            raise ValueError(
                "image_url: web addresses are never fetched; send the picture as base64 in "
                "image.data, or an address inside the blob store"
            )
        return self


class SocialPost(_Contract):
    """A post as it arrives. One of text and image must be there."""

    post_id: PostId
    author_id: str | None = Field(None, max_length=256)
    created_at: Timestamp
    text: Annotated[str, BeforeValidator(lambda v: _storable(v) if isinstance(v, str) else v)] = (
        Field("", description="At most 4,000 characters, may be empty")
    )
    lang: str | None = Field(None, max_length=16, description="BCP 47, when the platform says it")
    image: Image | None = None

    @model_validator(mode="after")
    def _something_to_see(self) -> Self:
        if self.image is None and not visible(self.text):
            raise ValueError("empty_post: neither text nor image; one of them must be there")
        return self

    def check_limits(self, settings: Settings) -> Self:
        """Hold the post against the configured sizes and times before any work is done on it.

        Raises:
            PostError: the text or the image is too large, or created_at is out of range.
        """
        check_time("created_at", self.created_at, settings)
        if len(self.text) > settings.max_text_characters:
            raise PostError(
                "text",
                "too_large",
                f"{len(self.text)} characters; at most {settings.max_text_characters}",
            )
        if self.image and self.image.data and len(self.image.data) > settings.max_image_bytes:
            raise PostError(
                "image.data",
                "too_large",
                f"{len(self.image.data)} bytes of base64; at most {settings.max_image_bytes}",
            )
        return self


def parse_post(raw: bytes | None, settings: Settings | None = None) -> SocialPost:
    """A message value to a post that is within every limit that can be seen without decoding.

    Raises:
        PostError: it names the field and says what is wrong.
    """
    settings = settings or get_settings()
    _check_size(raw, settings)
    return SocialPost.from_json(raw).check_limits(settings)


def _check_size(raw: bytes | None, settings: Settings) -> None:
    if raw is not None and len(raw) > settings.max_message_bytes:
        raise PostError(
            "message", "too_large", f"{len(raw)} bytes; at most {settings.max_message_bytes}"
        )


class PostLabel(_Contract):
    """What a person or a rule says a post's place is, some time after the post."""

    post_id: PostId
    label: str = Field(min_length=1, max_length=64)
    labelled_at: Timestamp
    source: str = Field("", max_length=64, description="Who or what labelled")

    def check_limits(self, settings: Settings) -> Self:
        """Hold the label against the configured times.

        Raises:
            PostError: labelled_at is out of range.
        """
        check_time("labelled_at", self.labelled_at, settings)
        return self


def parse_label(raw: bytes | None, settings: Settings) -> PostLabel:
    """A message value to a label within the limits; whether there is such a label is not checked.

    Raises:
        PostError: it names the field and says what is wrong.
    """
    _check_size(raw, settings)
    return PostLabel.from_json(raw).check_limits(settings)


Flag = Literal["text_missing", "image_missing", "image_unreadable", "stale_context"]


class Prediction(_Contract):
    """What kind of place a post shows, by one model version."""

    prediction_id: str
    post_id: PostId
    label: str
    probabilities: dict[str, float] = Field(description="label -> probability, in taxonomy order")
    gate: float = Field(ge=0, le=1, description="Share of text in the fused vector; 1 = text alone")
    modalities: list[Literal["text", "image"]] = Field(description="What was there and was used")
    quality: dict[str, float] = Field(description="Text and image quality measures")
    flags: list[Flag]
    model_version: str
    predicted_at: Timestamp
    latency_ms: float = Field(ge=0)

    @staticmethod
    def id_for(post_id: str, model_version: str) -> str:
        """The same post and version always give the same id, so that a reader can drop repeats."""
        return hashlib.sha256(f"{post_id}\0{model_version}".encode()).hexdigest()[:32]

    def answer(self) -> dict[str, Any]:
        """What depends on post and model alone: equal over REST, stream and backfill."""
        return self.model_dump(exclude={"predicted_at", "latency_ms"})


def now() -> datetime:
    """The present, aware, in UTC."""
    return datetime.now(UTC)
