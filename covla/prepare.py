"""A post made ready for the networks: decoded, measured, hashed. Ingest, serving and training
all come through here, so that they see the same pixels and the same words."""

import base64
import binascii
import hashlib
import io
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from PIL import Image as Pillow
from PIL import ImageOps

from covla import signals
from covla.blobs import DERIVATIVE_PIXELS, BlobStore
from covla.errors import PostError
from covla.post import Flag, SocialPost
from covla.settings import Settings

FORMATS = ("JPEG", "PNG", "WEBP", "GIF")


@dataclass(frozen=True)
class Prepared:
    """What is known of a post before a network sees it."""

    post: SocialPost
    text: str
    image: np.ndarray[Any, Any] | None  # uint8, H x W x 3, RGB, longer side <= 256
    image_bytes: bytes | None  # as they came
    text_hash: str  # SHA-256 hex; "" without text
    image_hash: str  # SHA-256 hex of image_bytes; "" without image
    lang: str
    hashtags: list[str]
    text_quality: dict[str, float]
    image_quality: dict[str, float]  # empty without image
    flags: list[Flag] = field(default_factory=list)


def decode_image(
    content: bytes, settings: Settings, *, side: int = DERIVATIVE_PIXELS
) -> np.ndarray[Any, Any]:
    """JPEG, PNG, WebP or GIF (first frame) bytes to uint8 RGB, longer side at most `side`.

    The size is read off the header and held against the limit before a pixel is decoded. A JPEG
    whose sides are both at least twice `side` is decoded at a half, a quarter or an eighth of its
    size (`Image.draft`), which is several times faster, and never below `side`.

    Raises:
        PostError: empty, truncated, no picture, or too many pixels.
    """
    if not content:
        raise PostError("image", "unreadable_image", "the picture has 0 bytes")
    try:
        with Pillow.open(io.BytesIO(content), formats=FORMATS) as picture:
            width, height = picture.size
            if width * height > settings.max_image_pixels:
                raise PostError(
                    "image",
                    "too_many_pixels",
                    f"{width} x {height} pixels; at most {settings.max_image_pixels}",
                )
            picture.draft(None, (side, side))
            upright = ImageOps.exif_transpose(picture).convert("RGB")
            pixels = np.asarray(upright)
    except PostError:
        raise
    except (Pillow.DecompressionBombError, Pillow.DecompressionBombWarning):
        raise PostError("image", "too_many_pixels", "more pixels than any limit allows") from None
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, TypeError, KeyError) as error:
        # Pillow's decoders raise any of these on damaged files.
        raise PostError(
            "image",
            "unreadable_image",
            f"cannot be decoded as {', '.join(FORMATS)}: {str(error)[:200]}",
        ) from None
    scale = side / max(pixels.shape[:2])
    if scale < 1:
        size = tuple(max(1, round(n * scale)) for n in (pixels.shape[1], pixels.shape[0]))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(pixels)


def _image_bytes(post: SocialPost, settings: Settings, blobs: BlobStore) -> bytes | None:
    if post.image is None:
        return None
    if post.image.uri is not None:
        return blobs.read(post.image.uri)
    try:
        return base64.b64decode(post.image.data or "", validate=True)
    except binascii.Error as error:
        raise PostError("image.data", "not_base64", f"is no valid base64: {error}") from None


def prepare(post: SocialPost, settings: Settings, blobs: BlobStore) -> Prepared:
    """Decode, measure and hash one post.

    Raises:
        PostError: the picture cannot be used, and `settings.unreadable_image` is "reject" or
            there is no text to go by.
    """
    flags: list[Flag] = []
    content = _image_bytes(post, settings, blobs)
    image = None
    text = post.text if post.text.strip() else ""
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
    return Prepared(
        post=post,
        text=text,
        image=image,
        image_bytes=content,
        text_hash=hashlib.sha256(text.encode()).hexdigest() if text else "",
        image_hash=hashlib.sha256(content).hexdigest() if content is not None else "",
        lang=signals.language(text, post.lang),
        hashtags=signals.hashtags(text),
        text_quality=signals.text_quality(text),
        image_quality=signals.image_quality(image) if image is not None else {},
        flags=flags,
    )


def prepare_all(
    posts: list[SocialPost], settings: Settings, blobs: BlobStore
) -> list[Prepared | PostError]:
    """One result or one error per post, in order: a bad post never fails its neighbours."""
    results: list[Prepared | PostError] = []
    for post in posts:
        try:
            results.append(prepare(post, settings, blobs))
        except PostError as error:
            results.append(error)
    return results
