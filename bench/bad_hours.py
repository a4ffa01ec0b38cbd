"""Ways in which an hour of posts goes bad, done to its rows; measures and hashes are taken anew."""

import hashlib
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from covla.arrays import Array
from covla.posts.content_groups import perceptual_hash
from covla.posts.quality import IMAGE_QUALITY, TEXT_QUALITY, image_quality, text_quality

Rows = list[dict[str, Any]]
Change = Callable[[Rows, np.random.Generator], Rows]


def _some(rows: Rows, rng: np.random.Generator, share: float) -> Rows:
    chosen = rng.permutation(len(rows))[: round(share * len(rows))]
    return [rows[i] for i in chosen]


def set_text(row: dict[str, Any], text: str) -> None:
    """Another text, or none."""
    measures = text_quality(text) if text else dict.fromkeys(TEXT_QUALITY)
    row |= {f"text_{name}": value for name, value in measures.items()}
    row |= {"text": text, "has_text": bool(text)}
    row["text_hash"] = hashlib.sha256(text.encode()).hexdigest() if text else ""
    if not text:
        row |= {"text_embedding": None, "lang": "und"}


def set_image(row: dict[str, Any], pixels: Array | None) -> None:
    """Another image, or none; `pixels` is kept in the row for the next change."""
    measures = dict.fromkeys(IMAGE_QUALITY) if pixels is None else image_quality(pixels)
    row |= {f"image_{name}": value for name, value in measures.items()}
    row |= {"has_image": pixels is not None, "pixels": pixels}
    row["image_hash"] = "" if pixels is None else hashlib.sha256(pixels.tobytes()).hexdigest()
    row["image_perceptual_hash"] = None if pixels is None else perceptual_hash(pixels)
    if pixels is None:
        row["image_embedding"] = None


def _images(change: Callable[[Array, np.random.Generator], Array]) -> Change:
    def apply(rows: Rows, rng: np.random.Generator) -> Rows:
        for row in rows:
            if row["has_image"]:
                pixels = change(row["pixels"].astype(np.float32), rng)
                set_image(row, pixels.clip(0, 255).astype(np.uint8))
        return rows

    return apply


def _texts(change: Callable[[str], str], share: float = 1.0) -> Change:
    def apply(rows: Rows, rng: np.random.Generator) -> Rows:
        for row in _some([row for row in rows if row["has_text"]], rng, share):
            set_text(row, change(row["text"]))
        return rows

    return apply


def _values(name: str, value: Any, share: float) -> Change:
    def apply(rows: Rows, rng: np.random.Generator) -> Rows:
        for row in _some([row for row in rows if row[name] is not None], rng, share):
            row[name] = value
        return rows

    return apply


def _no_image(rows: Rows, rng: np.random.Generator) -> Rows:
    for row in _some([row for row in rows if row["has_image"]], rng, 0.6):
        set_image(row, None)
    return rows


def _copies(rows: Rows, rng: np.random.Generator) -> Rows:
    kept = ("text", "text_hash", "image_hash", "image_perceptual_hash", "has_text", "has_image")
    for row in _some(rows[5:], rng, 0.8):
        source = rows[int(rng.integers(5))]
        row |= {name: source[name] for name in kept}
    return rows


def _saved_anew(rows: Rows, rng: np.random.Generator) -> Rows:
    sources = [row["pixels"] for row in rows if row["has_image"]][:5]
    for row in _some([row for row in rows if row["has_image"]], rng, 0.8):
        pixels = sources[int(rng.integers(5))]
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 80))]
        set_image(row, cv2.imdecode(cv2.imencode(".jpg", pixels, quality)[1], cv2.IMREAD_COLOR))
    return rows


def _fewer(rows: Rows, rng: np.random.Generator) -> Rows:
    return _some(rows, rng, 0.15)


def _grain(pixels: Array, rng: np.random.Generator) -> Array:
    grain: Array = pixels + rng.normal(0, 60, pixels.shape)
    return grain


def _blurred(pixels: Array, _: np.random.Generator) -> Array:
    blurred: Array = cv2.GaussianBlur(pixels, (0, 0), 6)
    return blurred


# kind -> the expectation that is to find it, and what is done to the rows. The number of posts of
# a flood and the dead letters are for the caller to make.
KINDS: dict[str, tuple[str, Change]] = {
    "outage": ("volume", _fewer),
    "flood": ("volume", lambda rows, _: rows),
    "dead letters": ("dead_letters", lambda rows, _: rows),
    "texts lost": ("text_missing", _texts(lambda _: "", 0.6)),
    "images lost": ("image_missing", _no_image),
    "one label": ("label_balance", _values("label", "beach_coast", 1.0)),
    "another language": ("language_mix", _values("lang", "pl", 0.6)),
    "texts cut": ("text_length", _texts(lambda text: text[:6])),
    "texts joined": ("text_length", _texts(lambda text: text * 12)),
    "images black": ("image_brightness", _images(lambda pixels, _: pixels * 0.05)),
    "images white": ("image_brightness", _images(lambda pixels, _: 235 + pixels * 0.08)),
    "images grey": ("image_contrast", _images(lambda pixels, _: 120 + pixels * 0.06)),
    "images blurred": ("image_blur", _images(_blurred)),
    "images grainy": ("image_noise", _images(_grain)),
    "images of 4 greys": ("image_entropy", _images(lambda pixels, _: pixels // 64 * 64)),
    "posts repeated": ("duplicates", _copies),
    "images saved anew": ("near_duplicate_images", _saved_anew),
    "embeddings broken": (
        "embedding_finite", _values("text_embedding", [float("nan")] * 8, 0.3),
    ),
    "embeddings short": ("embedding_width", _values("image_embedding", [0.5] * 4, 0.3)),
    "another encoder": ("one_encoder", _values("encoder_id", "another", 0.3)),
    "unknown labels": ("label_known", _values("label", "moon_base", 0.3)),
}  # fmt: skip
