"""Seeded corruptions of text and image, used by training, evaluation and drift tests alike.

Every random draw depends on (seed, post_id, kind) alone, never on the order of calls, and
`level` only says how far the draws reach: what level 0.1 corrupts, level 0.3 corrupts too.
OpenCV and NumPy do the work: torchvision's transforms draw from torch's global generator, which
would tie a post's noise to its neighbours.
"""

import hashlib
from typing import Any

import cv2
import numpy as np

from covla.arrays import PixelArray
from covla.errors import CovlaError

LEVELS = (0.0, 0.1, 0.2, 0.3, 0.5)
TEXT_KINDS = ("swap", "drop", "hashtags", "other", "missing")
IMAGE_KINDS = ("gaussian", "blur", "jpeg", "occlusion", "other", "missing")

# Tags that say nothing of a place, as spam and habit put them under any post.
_TAGS = [
    "love", "instagood", "photooftheday", "tbt", "picoftheday", "follow", "like4like", "happy",
    "fashion", "beautiful", "cute", "me", "selfie", "friends", "summer", "art", "repost", "smile",
    "style", "fun", "amazing", "igers", "life", "vibes", "nofilter",
]  # fmt: skip


def rng_for(*key: object) -> np.random.Generator:
    """A generator that depends on the key alone, equal on every machine and in every process."""
    digest = hashlib.sha256("\0".join(map(str, key)).encode("utf-8", "surrogatepass")).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


def _check(kind: str, kinds: tuple[str, ...], level: float, other: object) -> None:
    if kind not in kinds:
        raise CovlaError(f"noise kind: {kind!r} is not one of {', '.join(kinds)}")
    if not 0 <= level <= 1:
        raise CovlaError(f"noise level: {level} is not between 0 and 1")
    if kind == "other" and level > 0 and other is None:
        raise CovlaError("noise kind 'other' needs `other`, the text or image of another post")


def corrupt_text(
    text: str, kind: str, level: float, seed: int, *, post_id: str, other: str | None = None
) -> str:
    """`text` with noise of one of `TEXT_KINDS`; level 0 returns it unchanged.

    swap: a fraction `level` of the letters change places with their right neighbour. drop: every
    word goes with probability `level`, at least one stays. hashtags: `level` tags per word are
    added that say nothing of the place, and present tags go with probability `level`.
    other, missing: with probability `level` the text of another post, or "".

    Raises:
        CovlaError: unknown kind, level outside 0..1, or `other` is needed and not given.
    """
    _check(kind, TEXT_KINDS, level, other)
    if level == 0:
        return text
    rng = rng_for(seed, post_id, kind)
    match kind:
        case "swap":
            return _swap(text, level, rng)
        case "drop":
            words = text.split()
            draws = rng.random(len(words))
            kept = [word for word, draw in zip(words, draws, strict=True) if draw >= level]
            return " ".join(kept or words[:1])
        case "hashtags":
            words = text.split()
            draws = rng.random(len(words))
            kept = [
                w
                for w, u in zip(words, draws, strict=True)
                if u >= level or not w.startswith(("#", "\uff03"))
            ]
            tags = rng.permutation(_TAGS)[: max(1, round(level * len(words)))]
            return " ".join([*kept, *(f"#{tag}" for tag in tags)])
        case "other":
            return str(other) if rng.random() < level else text
        case _:
            return "" if rng.random() < level else text


def _swap(text: str, level: float, rng: np.random.Generator) -> str:
    letters = list(text)
    draws = rng.random(len(letters))
    i = 0
    while i < len(letters) - 1:
        # A swap moves two letters, so half as many positions start one.
        if draws[i] < level / 2 and letters[i].isalpha() and letters[i + 1].isalpha():
            letters[i], letters[i + 1] = letters[i + 1], letters[i]
            i += 1
        i += 1
    return "".join(letters)


def corrupt_image(
    image: PixelArray,
    kind: str,
    level: float,
    seed: int,
    *,
    post_id: str,
    other: PixelArray | None = None,
) -> PixelArray | None:
    """`image` (H x W x 3, uint8) with noise of one of `IMAGE_KINDS`; level 0: unchanged.

    gaussian: standard deviation `level` of the full range. blur: sigma of `level` x 8 % of the
    shorter side. jpeg: quality 90 x (1 - level)^3. occlusion: one grey rectangle over `level`
    of the area. other, missing: with probability `level` the image of another post, or None.
    The input is never written to; all but `other` keep its size.

    Raises:
        CovlaError: unknown kind, level outside 0..1, not such an array, or `other` is missing.
    """
    _check(kind, IMAGE_KINDS, level, other)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise CovlaError(f"image: expected uint8 H x W x 3, got {image.dtype} {image.shape}")
    if level == 0:
        return image
    rng = rng_for(seed, post_id, kind)
    match kind:
        case "gaussian":
            noise = rng.standard_normal(image.shape, dtype=np.float32) * (level * 255)
            return np.clip(image + noise, 0, 255).round().astype(np.uint8)
        case "blur":
            return _array(cv2.GaussianBlur(image, (0, 0), level * 0.08 * min(image.shape[:2])))
        case "jpeg":
            quality = max(2, round(90 * (1 - level) ** 3))
            _, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
            return _array(cv2.imdecode(data, cv2.IMREAD_COLOR))[..., ::-1].copy()
        case "occlusion":
            return _occlude(image, level, rng)
        case "other":
            return other if rng.random() < level else image
        case _:
            return None if rng.random() < level else image


def _occlude(image: PixelArray, level: float, rng: np.random.Generator) -> PixelArray:
    height, width = image.shape[:2]
    # The aspect is bounded so that the rectangle always fits with its full area.
    fraction = min(1.0, level ** rng.uniform(0.3, 0.7))
    h = max(1, round(height * fraction))
    w = max(1, min(width, round(level * height * width / h)))
    y, x = (int(rng.random() * (full - side + 1)) for full, side in ((height, h), (width, w)))
    out = image.copy()
    out[y : y + h, x : x + w] = 127
    return out


def _array(value: Any) -> PixelArray:
    return np.asarray(value, dtype=np.uint8)
