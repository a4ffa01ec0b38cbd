"""Measures of a text or an image without a network: quality, language, hashtags."""

import cv2
import numpy as np
from py3langid import langid

from covla import words
from covla.arrays import Array

TEXT_QUALITY = (
    "characters", "words", "mean_word_length", "hashtags", "mentions", "urls",
    "uppercase_share", "digit_share", "non_ascii_share", "unique_word_share",
)  # fmt: skip
IMAGE_QUALITY = ("blur", "brightness", "contrast", "entropy", "noise", "aspect")

# Immerkaer (1996), "Fast noise variance estimation": a Laplacian that edges hardly touch.
_IMMERKAER = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], dtype=np.float32)


def hashtags(text: str) -> list[str]:
    """Hashtags without `#`, in one form, in order, each once."""
    return list(dict.fromkeys(words.hashtags(text)))


def language(text: str, given: str | None = None) -> str:
    """ISO 639-1: as the platform gave it, else as py3langid finds; "und" for too little text."""
    if given:
        return given.split("-")[0].split("_")[0].lower()
    plain = words.ADDRESS.sub(" ", words.MENTION.sub(" ", text)).strip()
    if sum(character.isalpha() for character in plain) < 12:
        return "und"
    return str(langid.classify(plain[:500])[0])


def text_quality(text: str) -> dict[str, float]:
    """The measures named in TEXT_QUALITY; counts, or shares of characters or words in 0..1."""
    parts = text.split()
    length = max(len(text), 1)
    values = (
        len(text),
        len(parts),
        sum(map(len, parts)) / max(len(parts), 1),
        len(words.hashtags(text)),
        len(words.MENTION.findall(text)),
        len(words.ADDRESS.findall(text)),
        sum(map(str.isupper, text)) / length,
        sum(map(str.isdigit, text)) / length,
        0.0 if text.isascii() else sum(ord(character) > 127 for character in text) / length,
        len({word.lower() for word in parts}) / max(len(parts), 1),
    )
    return dict(zip(TEXT_QUALITY, map(float, values), strict=True))


def image_quality(image: Array) -> dict[str, float]:
    """The measures named in IMAGE_QUALITY, of a uint8 RGB image H x W x 3.

    blur: variance of the Laplacian (low = blurred); brightness and contrast: mean and standard
    deviation of grey in 0..1; entropy: of the grey histogram, in bits; noise: Immerkaer's sigma
    in grey levels; aspect: width by height.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    height, width = grey.shape
    mean, deviation = cv2.meanStdDev(grey)
    _, edges = cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_32F))
    histogram = cv2.calcHist([grey], [0], None, [256], [0, 256]).ravel().astype(float) / grey.size
    filled = histogram[histogram > 0]
    response = np.abs(cv2.filter2D(grey, cv2.CV_32F, _IMMERKAER))
    inner = response[1:-1, 1:-1] if min(height, width) > 2 else response
    values = (
        edges[0, 0] ** 2,
        mean[0, 0] / 255,
        deviation[0, 0] / 255,
        -(filled * np.log2(filled)).sum(),
        np.sqrt(np.pi / 2) * inner.mean() / 6,
        width / height,
    )
    return dict(zip(IMAGE_QUALITY, map(float, values), strict=True))
