"""A small drawing surface over OpenCV whose every colour and position varies a little."""

from typing import Any

import cv2
import numpy as np

from covla.arrays import PixelArray

SIZE = 224
Colour = tuple[int, int, int]
Point = tuple[float, float]


class Canvas:
    """SIZE x SIZE pixels, RGB; places are shares of the side: (0, 0) top left, (1, 1) the end."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.pixels: PixelArray = np.zeros((SIZE, SIZE, 3), dtype=np.uint8)

    def between(self, low: float, high: float) -> float:
        """A uniform draw."""
        return low + (high - low) * float(self.rng.random())

    def count(self, low: int, high: int) -> int:
        """A whole number from low to high, both possible."""
        return int(self.rng.integers(low, high + 1))

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return bool(self.rng.random() < probability)

    def any_colour(self) -> Colour:
        """A saturated colour of any hue."""
        r, g, b = (int(c) for c in self.rng.integers(20, 245, 3))
        return r, g, b

    def tint(self, colour: Colour, spread: int = 26) -> Colour:
        """A colour near to `colour`."""
        r, g, b = np.clip(self.rng.integers(-spread, spread + 1, 3) + colour, 0, 255).tolist()
        return r, g, b

    def gradient(self, top: Colour, bottom: Colour, start: float = 0, end: float = 1) -> None:
        """Fill the rows from `start` to `end`, fading from one colour to the other."""
        y0, y1 = round(start * SIZE), round(end * SIZE)
        ramp = np.linspace(self.tint(top), self.tint(bottom), max(1, y1 - y0)).astype(np.uint8)
        self.pixels[y0:y1] = ramp[: y1 - y0, None]

    def rect(self, x: float, y: float, w: float, h: float, colour: Colour, line: int = -1) -> None:
        """A rectangle, filled unless `line` gives a line width in pixels."""
        self._draw(cv2.rectangle, _at((x, y)), _at((x + w, y + h)), colour, line)

    def disc(self, x: float, y: float, radius: float, colour: Colour, line: int = -1) -> None:
        """A circle."""
        self._draw(cv2.circle, _at((x, y)), round(radius * SIZE), colour, line)

    def oval(self, x: float, y: float, rx: float, ry: float, colour: Colour) -> None:
        """A filled ellipse."""
        self._draw(cv2.ellipse, _at((x, y)), _at((rx, ry)), 0, 0, 360, colour, -1)

    def line(self, start: Point, end: Point, colour: Colour, width: int = 2) -> None:
        """A straight line."""
        self._draw(cv2.line, _at(start), _at(end), colour, width)

    def poly(self, points: list[Point], colour: Colour) -> None:
        """A filled polygon."""
        self._draw(cv2.fillPoly, [np.array([_at(p) for p in points], dtype=np.int32)], colour)

    def curve(self, points: list[Point], colour: Colour, width: int = 2) -> None:
        """An open line through the points."""
        places = np.array([_at(p) for p in points], dtype=np.int32)
        self._draw(cv2.polylines, [places], False, colour, width)

    def person(self, x: float, y: float, height: float) -> None:
        """A standing figure with its feet at (x, y)."""
        skin = self.tint((200, 150, 120), 40)
        shirt, legs = self.any_colour(), self.tint((50, 50, 80), 40)
        w = height * 0.13
        self.rect(x - w * 0.7, y - height * 0.45, w * 0.6, height * 0.45, legs)
        self.rect(x + w * 0.1, y - height * 0.45, w * 0.6, height * 0.45, legs)
        self.rect(x - w, y - height * 0.83, w * 2, height * 0.42, shirt)
        self.disc(x, y - height * 0.91, height * 0.09, skin)

    def _draw(self, shape: Any, *arguments: Any) -> None:
        shape(self.pixels, *arguments)


def _at(point: Point) -> tuple[int, int]:
    return round(point[0] * SIZE), round(point[1] * SIZE)
