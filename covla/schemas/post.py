"""SocialPost, the wire contract of the posts topic."""

from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from covla.errors import PostError
from covla.schemas.contract import Contract, PostId, Timestamp, check_size
from covla.settings import Settings, get_settings
from covla.times import check_time
from covla.words import visible


def _storable(value: str) -> str:
    # A lone surrogate cannot be encoded again: it would break the lake and the tokenizer.
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError("has a lone surrogate, which is no valid Unicode text")
    return value


class Image(BaseModel):
    """An image: in the message (`data`), or in the configured blob store (`uri`)."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    data: str | None = Field(None, description="base64, at most 700,000 characters")
    uri: str | None = Field(None, max_length=1024, description="Address inside the blob root")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.data is None) == (self.uri is None):
            raise ValueError("image_source: give exactly one of data and uri")
        if self.uri is not None and self.uri.split(":", 1)[0].lower() in {"http", "https", "ftp"}:
            raise ValueError(
                "image_url: web addresses are never fetched; send the image as base64 in "
                "image.data, or an address inside the blob store"
            )
        return self


class SocialPost(Contract):
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
    check_size(raw, settings)
    return SocialPost.from_json(raw).check_limits(settings)
