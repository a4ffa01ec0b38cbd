"""Crops to learn from: the same for the same number, every picture in its turn."""

from collections import Counter

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from covla.training.image_tower.pictures import Crops, Picture

SIZE = 32


def pictures(labelled: int, others: int) -> list[Picture]:
    """Pictures of many shapes; the first `labelled` have a label."""
    draw = np.random.default_rng(0)
    return [
        Picture(
            f"p-{i}",
            draw.integers(0, 256, (20 + 5 * (i % 7), 30 + 3 * (i % 5), 3), np.uint8),
            torch.tensor([float(i), 0.0]),
            i < labelled,
        )
        for i in range(labelled + others)
    ]


@given(st.integers(0, 7), st.integers(0, 7), st.integers(0, 3))
def test_labelled_and_others_take_turns_and_each_has_its_own(
    labelled: int, others: int, seed: int
) -> None:
    given = pictures(labelled, others)
    if not given:
        return
    both = labelled > 0 and others > 0
    number = 2 * labelled * others if both else 3 * len(given)
    crops = Crops(given, number, SIZE, noise=0.0, seed=seed)
    seen = Counter(int(crops[i].target[0]) for i in range(len(crops)))
    assert len(crops) == number
    assert all(seen[i] == (others if both else 3) for i in range(labelled))
    assert all(seen[i] == (labelled if both else 3) for i in range(labelled, len(given)))
    if both:
        assert all((crops[i].target[0] < labelled) == (i % 2 == 0) for i in range(number))


def test_a_crop_depends_on_its_number_and_the_seed_alone() -> None:
    given = pictures(5, 5)
    first, again, other = (Crops(given, 40, SIZE, noise=0.5, seed=seed) for seed in (1, 1, 2))
    for i in reversed(range(40)):
        np.testing.assert_array_equal(first[i].seen, again[i].seen)
        np.testing.assert_array_equal(first[i].clean, again[i].clean)
    assert any((first[i].clean != other[i].clean).any() for i in range(40))


def test_a_share_of_them_is_noisy_and_the_pictures_stay() -> None:
    given = pictures(10, 0)
    before = [each.image.copy() for each in given]
    crops = Crops(given, 200, SIZE, noise=0.5, seed=1)
    noisy = sum(bool((crops[i].seen != crops[i].clean).any()) for i in range(200))
    assert 70 <= noisy <= 130
    for crop in (crops[i] for i in range(200)):
        assert crop.seen.shape == crop.clean.shape == (3, SIZE, SIZE)
        assert crop.seen.dtype == np.uint8
    for each, image in zip(given, before, strict=True):
        np.testing.assert_array_equal(each.image, image)


def test_a_picture_of_one_pixel_is_a_crop_too() -> None:
    one = Picture("p", np.zeros((1, 1, 3), np.uint8), torch.tensor([1.0, 0.0]), labelled=True)
    assert Crops([one], 3, SIZE, noise=1.0, seed=0)[2].clean.shape == (3, SIZE, SIZE)
