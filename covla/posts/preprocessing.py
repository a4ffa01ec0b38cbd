"""A post made ready for the networks: decoded, measured, hashed. Ingest, serving and training
all come through here, so that they see the same pixels and the same words."""

import hashlib
from dataclasses import dataclass, field

from covla.arrays import Array
from covla.errors import PostError, content_errors
from covla.posts import quality
from covla.posts.image_decoding import decode_base64, decode_image
from covla.posts.image_store import BlobStore
from covla.schemas.post import SocialPost
from covla.schemas.prediction import Flag
from covla.settings import Settings
from covla.words import visible


@dataclass(frozen=True)
class PreparedPost:
    """What is known of a post before a network sees it."""

    post: SocialPost
    text: str
    image: Array | None  # uint8, H x W x 3, RGB, longer side <= 256
    image_bytes: bytes | None  # as they came
    text_hash: str  # SHA-256 hex; "" without text
    image_hash: str  # SHA-256 hex of image_bytes; "" without image
    lang: str
    hashtags: list[str]
    text_quality: dict[str, float]
    image_quality: dict[str, float]  # empty without image
    flags: list[Flag] = field(default_factory=list)


def _image_bytes(post: SocialPost, blobs: BlobStore) -> bytes | None:
    if post.image is None:
        return None
    if post.image.uri is not None:
        return blobs.read(post.image.uri)
    return decode_base64(post.image.data or "")


def prepare(post: SocialPost, settings: Settings, blobs: BlobStore) -> PreparedPost:
    """Decode, measure and hash one post.

    Raises:
        PostError: the image cannot be used, and `settings.unreadable_image` is "reject" or
            there is no text to go by; or the text cannot be measured.
        OSError: the image store cannot be read, which is no fault of the post.
    """
    flags: list[Flag] = []
    content = _image_bytes(post, blobs)
    image = None
    text = post.text if visible(post.text) else ""
    if content is None:
        flags.append("image_missing")
    else:
        try:
            image = decode_image(content, settings)
        except PostError:
            if settings.unreadable_image == "reject" or not text:
                raise
            flags.append("image_unreadable")
            content = None
    if not text:
        flags.append("text_missing")
    with content_errors("image", "unreadable_image", "cannot be measured"):
        image_quality = quality.image_quality(image) if image is not None else {}
    with content_errors("text", "unreadable_text", "cannot be measured"):
        return PreparedPost(
            post=post,
            text=text,
            image=image,
            image_bytes=content,
            text_hash=hashlib.sha256(text.encode()).hexdigest() if text else "",
            image_hash=hashlib.sha256(content).hexdigest() if content is not None else "",
            lang=quality.language(text, post.lang),
            hashtags=quality.hashtags(text),
            text_quality=quality.text_quality(text),
            image_quality=image_quality,
            flags=flags,
        )
