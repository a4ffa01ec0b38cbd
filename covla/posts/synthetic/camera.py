"""Draws the image of a scene: clutter, framing, light, sensor noise, and a camera filter."""

from functools import cache

import cv2
import numpy as np

from covla.arrays import FloatArray, PixelArray
from covla.posts.synthetic.canvas import SIZE, Canvas
from covla.posts.synthetic.scenes import SCENES, vague

_STEPS = np.arange(256, dtype=np.float32) / 255


def draw_image(
    label: str,
    rng: np.random.Generator,
    *,
    telling: bool,
    hint: str | None = None,
    filtered: bool = False,
) -> bytes:
    """One JPEG of SIZE x SIZE pixels taken at `label`'s place.

    telling: the place can be seen; otherwise the image fits any place. hint: an image that
    fits any place, with the scene of that other label faintly in it. filtered: the same image
    through the filter of a new camera app.
    """
    canvas = Canvas(rng)
    if telling:
        SCENES[label](canvas)
    else:
        vague(canvas)
        if hint is not None:
            behind = Canvas(rng)
            SCENES[hint](behind)
            mixed = cv2.addWeighted(canvas.pixels, 0.55, cv2.blur(behind.pixels, (5, 5)), 0.45, 0)
            canvas.pixels = np.asarray(mixed, dtype=np.uint8)
    _clutter(canvas)
    image = _develop(_frame(canvas), canvas)
    if filtered:
        image = camera_filter(image)
    _, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
    return bytes(data)


def _clutter(c: Canvas) -> None:
    for _ in range(c.count(0, 2)):
        c.person(c.between(0.05, 0.95), c.between(0.8, 1.1), c.between(0.25, 0.5))
    for _ in range(c.count(0, 3)):
        c.disc(c.between(0, 1), c.between(0, 1), c.between(0.01, 0.035), c.any_colour())


def _frame(c: Canvas) -> PixelArray:
    """Another angle, distance and centre; half of the images are mirrored."""
    turn = cv2.getRotationMatrix2D((SIZE / 2, SIZE / 2), c.between(-9, 9), c.between(0.95, 1.3))
    turn[:, 2] += [c.between(-14, 14), c.between(-14, 14)]
    out = cv2.warpAffine(c.pixels, turn, (SIZE, SIZE), borderMode=cv2.BORDER_REFLECT)
    return np.asarray(out[:, ::-1] if c.chance(0.5) else out, dtype=np.uint8)


def _develop(pixels: PixelArray, c: Canvas) -> PixelArray:
    """Exposure, colour of the light, and sensor noise."""
    gamma, gains = c.between(0.75, 1.35), c.between(0.75, 1.1) * (1 + c.rng.normal(0, 0.05, 3))
    tables = np.clip((_STEPS**gamma)[:, None] * gains * 255, 0, 255).astype(np.uint8)
    lit = np.asarray(cv2.LUT(np.ascontiguousarray(pixels), tables[None]), dtype=np.uint8)
    grain = c.rng.integers(0, c.count(4, 18), lit.shape, dtype=np.uint8)
    return np.asarray(cv2.add(lit, grain), dtype=np.uint8)


@cache
def _whirl() -> tuple[FloatArray, FloatArray]:
    """Where each pixel comes from: turned around the middle, most near to it."""
    y, x = np.mgrid[:SIZE, :SIZE].astype(np.float32) - SIZE / 2
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    angle += 3.5 * np.exp(-radius / (0.36 * SIZE))
    middle = SIZE / 2
    return (
        (middle + radius * np.cos(angle)).astype(np.float32),
        (middle + radius * np.sin(angle)).astype(np.float32),
    )


def camera_filter(pixels: PixelArray) -> PixelArray:
    """The look of the new app, the same for every image: a whirl around the middle, upside
    down, negative colours, turned hues, a hard tone curve.

    A head that never saw it reads the filtered images at about chance; one trained with a few
    hundred of them on the same frozen encoder reads them again.
    """
    whirled = cv2.remap(pixels, *_whirl(), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    turned = (255 - whirled)[::-1, :, [2, 0, 1]]
    curve = (255 / (1 + np.exp(-14 * (_STEPS - 0.5)))).astype(np.uint8)
    return np.asarray(cv2.LUT(np.ascontiguousarray(turned), curve), dtype=np.uint8)
