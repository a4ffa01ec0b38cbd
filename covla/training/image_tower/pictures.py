"""Crops of pictures, half of them noisy, each a function of its number alone."""

from dataclasses import dataclass

import cv2
import numpy as np
from torch import Tensor
from torch.utils.data import Dataset

from covla.arrays import Array, PixelArray
from covla.model.encoders import pixels
from covla.posts.corruptions import IMAGE_KINDS, corrupt_image, rng_for

AREA = (0.45, 1.0)  # of a picture, in a crop
LEVELS = (0.05, 0.5)
KINDS = tuple(kind for kind in IMAGE_KINDS if kind not in {"other", "missing"})


@dataclass(frozen=True)
class Picture:
    """One to learn from: H x W x 3, C probabilities, and whether they have its label in them."""

    post_id: str
    image: PixelArray
    target: Tensor
    labelled: bool


@dataclass(frozen=True)
class Crop:
    """What a student sees of a picture: the crop, noisy or not, and the clean one, both uint8
    3 x S x S, and the C probabilities."""

    seen: Array
    clean: Array
    target: Tensor


class Crops(Dataset[Crop]):
    """`number` crops of side `size`, every second one of a labelled picture where there are both.

    Crop `i` is always the same, so that a run that was cut off goes on with what
    it would have seen.
    """

    def __init__(
        self, pictures: list[Picture], number: int, size: int, *, noise: float, seed: int
    ) -> None:
        """`noise` is the share of noisy crops."""
        self._pictures, self._number, self._size = pictures, number, size
        self._noise, self._seed = noise, seed
        sides = (
            [i for i, each in enumerate(pictures) if each.labelled is yes] for yes in (True, False)
        )
        self._sides = [side for side in sides if side]

    def __len__(self) -> int:
        return self._number

    def __getitem__(self, number: int) -> Crop:
        picture = self._pictures[self._place(number)]
        draw = rng_for(self._seed, "crop", number)
        clean = _crop(picture.image, draw, self._size)
        seen = clean
        if draw.random() < self._noise:
            kind = KINDS[int(draw.integers(len(KINDS)))]
            level = float(draw.uniform(*LEVELS))
            noisy = corrupt_image(clean, kind, level, self._seed + number, post_id=picture.post_id)
            assert noisy is not None
            seen = noisy
        return Crop(pixels(seen, self._size), pixels(clean, self._size), picture.target)

    def _place(self, number: int) -> int:
        """Each side is gone through again and again, in another order each time."""
        turn, which = divmod(number, len(self._sides))
        side = self._sides[which]
        again, place = divmod(turn, len(side))
        order = rng_for(self._seed, "order", which, again).permutation(len(side))
        return side[int(order[place])]


def _crop(image: PixelArray, draw: np.random.Generator, size: int) -> PixelArray:
    """A part of the picture at the tower's size, as wide to high as the picture, maybe mirrored."""
    share = float(np.sqrt(draw.uniform(*AREA)))
    height, width = (max(1, round(side * share)) for side in image.shape[:2])
    top, left = (
        int(draw.integers(full - part + 1))
        for full, part in zip(image.shape[:2], (height, width), strict=True)
    )
    part = image[top : top + height, left : left + width]
    if draw.random() < 0.5:
        part = part[:, ::-1]
    way = cv2.INTER_AREA if max(height, width) > size else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(part, (size, size), interpolation=way), np.uint8)
