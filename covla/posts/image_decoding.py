"""The one way to decode an image: within limits, upright, on white, at its full range.

Of a file's metadata the orientation tag alone is used. The rest never reaches a decoder: a
damaged tag or colour profile is no reason to refuse an image, and a compressed text none to spend
memory (ADR 18).
"""

import base64
import io
from typing import Any

import cv2
import numpy as np
from PIL import Image as Pillow
from PIL import UnidentifiedImageError

from covla.arrays import Array
from covla.errors import PostError, content_errors
from covla.posts.image_metadata import split_metadata
from covla.posts.image_store import DERIVATIVE_PIXELS
from covla.settings import Settings

FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
_UPRIGHT = {
    2: Pillow.Transpose.FLIP_LEFT_RIGHT,
    3: Pillow.Transpose.ROTATE_180,
    4: Pillow.Transpose.FLIP_TOP_BOTTOM,
    5: Pillow.Transpose.TRANSPOSE,
    6: Pillow.Transpose.ROTATE_270,
    7: Pillow.Transpose.TRANSVERSE,
    8: Pillow.Transpose.ROTATE_90,
}
# The ranges that values of a mode without a range of its own may have; the smallest that holds
# them all is taken.
_RANGES = {"I": (255, 65_535, 2**31 - 1), "F": (1, 255, 65_535, 2**31 - 1)}
_SCANS = 100  # of a JPEG; encoders write about ten, and each one passes over all pixels again


def decode_image(content: bytes, settings: Settings, *, side: int = DERIVATIVE_PIXELS) -> Array:
    """JPEG, PNG, WebP or GIF (first frame) bytes to uint8 RGB, longer side at most `side`.

    The size is read off the header and checked before a pixel is decoded. A JPEG
    whose sides are both at least twice `side` is decoded at a half, a quarter or an eighth of its
    size (`Image.draft`), which is several times faster, and never below `side`.

    Raises:
        PostError: empty, truncated, no image, or too many pixels; equal bytes give an equal
            message.
    """
    if not content:
        raise PostError("image", "unreadable_image", "the image has 0 bytes")
    failure = f"cannot be decoded as {', '.join(FORMATS)}"
    with content_errors("image", "unreadable_image", failure):
        plain, metadata = split_metadata(content)
        if plain.startswith(b"\xff\xd8") and plain.count(b"\xff\xda") > _SCANS:
            raise PostError("image", "unreadable_image", f"a JPEG of more than {_SCANS} scans")
        try:
            with Pillow.open(io.BytesIO(plain), formats=FORMATS) as image:
                width, height = image.size
                if width * height > settings.max_image_pixels:
                    raise _too_many(settings)
                image.draft(None, (side, side))
                covered = image.tile[0].extents if image.format == "GIF" else None
                flat = to_rgb(image, depth=metadata.depth)
                if covered is not None:  # Pillow gives the rest the first colour of the palette
                    page = Pillow.new("RGB", flat.size, "white")
                    page.paste(flat.crop(covered), covered)
                    flat = page
        except UnidentifiedImageError:
            raise PostError(
                "image", "unreadable_image", f"{failure}: it begins like none of them"
            ) from None
        except (Pillow.DecompressionBombError, Pillow.DecompressionBombWarning):
            raise _too_many(settings) from None
        turn = _UPRIGHT.get(metadata.orientation)
        pixels = np.asarray(flat if turn is None else flat.transpose(turn))
        scale = side / max(pixels.shape[:2])
        if scale < 1:
            size = tuple(max(1, round(n * scale)) for n in (pixels.shape[1], pixels.shape[0]))
            pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        return np.ascontiguousarray(pixels)


def decode_base64(data: str) -> bytes:
    """The bytes of `image.data`.

    Raises:
        PostError: no base64.
    """
    try:
        return base64.b64decode(data, validate=True)
    except ValueError as error:  # binascii.Error, and characters outside ASCII
        raise PostError("image.data", "not_base64", f"is no valid base64: {error}") from None


def _too_many(settings: Settings) -> PostError:
    return PostError("image", "too_many_pixels", f"more than {settings.max_image_pixels} pixels")


def to_rgb(image: Pillow.Image, *, depth: int = 8) -> Pillow.Image:
    """Any mode to RGB at its full range; what is transparent becomes white.

    Args:
        image: of any mode of Pillow.
        depth: bits of a sample in the file, which a transparent colour is given in.
    """
    key = image.info.get("transparency")
    by_colour = key is not None and image.mode in {"1", "L", "RGB", "I", "I;16"}
    hidden = _has_colour(image, key, depth) if by_colour else None
    if by_colour:
        image = image.copy()
        del image.info["transparency"]  # its depth is not always that of the mode
    if image.has_transparency_data:
        clear = image.convert("LA") if image.mode == "La" else image
        clear = clear.convert("RGBA")
        flat = Pillow.new("RGB", image.size, "white")
        flat.paste(clear, mask=clear)
        return flat
    flat = _opaque(image)
    if hidden is not None:
        flat.paste((255, 255, 255), mask=Pillow.fromarray(hidden))
    return flat


def _has_colour(image: Pillow.Image, key: Any, depth: int) -> Array:
    """bool, H x W: whether a pixel has the transparent colour `key`."""
    samples = np.atleast_3d(np.asarray(image))
    colour = np.atleast_1d(key)
    if image.mode == "1":
        colour = colour > 0
    elif depth < 8:
        colour = colour * (255 // (2**depth - 1))
    elif depth == 16 and image.mode == "RGB":
        colour = colour >> 8  # as Pillow reads the samples
    mask: Array = (samples == colour).all(-1)
    return mask


def _opaque(image: Pillow.Image) -> Pillow.Image:
    if image.mode.startswith("I;16"):
        return Pillow.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in _RANGES:
        values = np.nan_to_num(np.asarray(image, dtype=np.float64))
        ranges = _RANGES[image.mode]
        top = next((top for top in ranges if values.max() <= top), ranges[-1])
        grey = np.clip(np.rint(values * (255 / top)), 0, 255).astype(np.uint8)
        return Pillow.fromarray(grey).convert("RGB")
    if image.mode == "LAB":
        from PIL import ImageCms

        lab, rgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        return ImageCms.buildTransform(lab, rgb, "LAB", "RGB").apply(image)
    return image.convert("RGB")
