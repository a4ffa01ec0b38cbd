"""What a plan takes for granted, and what it refuses."""

import math

import pytest

from covla.training.config import STEPS_FROM_SCRATCH, usual_recipe
from covla.training.recipe import Recipe


@pytest.mark.parametrize("posts", [1, 90, 236, 5000])
def test_towers_from_scratch_take_enough_steps(posts: int) -> None:
    recipe = usual_recipe("tiny", posts)
    assert recipe.epochs * math.ceil(posts / recipe.batch) >= STEPS_FROM_SCRATCH
    assert recipe.epochs <= STEPS_FROM_SCRATCH  # an epoch of few posts is a step, no less
    assert recipe.noisy_copies == 0


def test_many_posts_take_the_usual_epochs() -> None:
    assert usual_recipe("tiny", 50_000).epochs == Recipe().epochs
    assert usual_recipe("base", 90) == Recipe()
