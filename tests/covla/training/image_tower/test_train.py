"""An image tower learns what its pictures show, also where they are noisy."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from covla.errors import CovlaError
from covla.model.pooling_torch import Features
from covla.model.towers import Towers, tiny
from covla.posts.corruptions import corrupt_image, rng_for
from covla.posts.training_post import TrainingPost
from covla.training.dataset import PreparedDataset
from covla.training.image_tower.recipe import TowerRecipe
from covla.training.image_tower.train import train_image_tower
from tests.covla.posts.test_corrupted_post import prepared_posts
from tests.features.posts import make_post

pytestmark = pytest.mark.slow
RECIPE = TowerRecipe(epochs=10, batch=16, learning_rate=3e-3)
NUMBER = 64


def striped(number: int, seed: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Stripes that lie for even numbers and stand for odd ones, in any colour, somewhere."""
    draw = rng_for(seed, number)
    wave = np.sin(np.arange(48) / draw.uniform(1.0, 2.0) + draw.uniform(0, 6)) > 0
    plane = (
        np.broadcast_to(wave, (48, 48)) if number % 2 else np.broadcast_to(wave[:, None], (48, 48))
    )
    colours = draw.integers(0, 256, (2, 3), np.uint8)
    return np.where(plane[..., None], colours[0], colours[1])


@dataclass
class Given:
    """What a tower learns from."""

    towers: Towers
    data: PreparedDataset
    features: list[Features]
    targets: Tensor

    def train(self, recipe: TowerRecipe = RECIPE, **more: Any) -> Towers:
        return train_image_tower(
            self.towers,
            self.data,
            self.features,
            self.targets,
            recipe,
            seed=0,
            device="cpu",
            **more,
        )


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Given:
    from covla.settings import Settings

    towers = settled(tiny(50))
    (like,) = prepared_posts(1, Settings(state=tmp_path_factory.mktemp("state")))
    prepared = [
        replace(like, post=make_post(i, post_id=f"p-{i}"), image=striped(i, 1))
        for i in range(NUMBER)
    ]
    posts = [
        TrainingPost(item.post, ("home", "shop")[i % 2], "train") for i, item in enumerate(prepared)
    ]
    labels = torch.arange(NUMBER) % 2
    regions = pooled(towers, [item.image for item in prepared if item.image is not None])
    features: list[Features] = [(None, row[None]) for row in regions]
    targets = torch.nn.functional.one_hot(labels, 2).float()
    return Given(towers, PreparedDataset(posts, prepared, labels, 0), features, targets)


def settled(towers: Towers) -> Towers:
    """Random towers whose batch norm has seen pictures: else next to nothing comes through."""
    towers.image.train()
    for seed in range(30):
        pooled(towers, [striped(i, 100 + seed) for i in range(16)])
    return towers.eval()


def pooled(towers: Towers, images: list[Any]) -> Tensor:
    """n x d_V of pictures."""
    import cv2

    side = towers.image.spec["size"]
    stacked = np.stack([cv2.resize(image, (side, side)) for image in images]).transpose(0, 3, 1, 2)
    with torch.no_grad():
        return towers.image(torch.from_numpy(stacked.copy())).mean(1)


def accuracy(towers: Towers) -> float:
    """Of the nearest class mean, on noisy pictures that nobody learnt from."""

    def of(seed: int, level: float) -> Tensor:
        images = [
            corrupt_image(striped(i, seed), "gaussian", level, seed, post_id=f"n-{i}")
            for i in range(80)
        ]
        return pooled(towers, images)

    clean, noisy = of(2, 0.0), of(3, 0.3)
    scale = clean.std(0).clamp(min=1e-6)
    centres = torch.stack([clean[0::2].mean(0), clean[1::2].mean(0)])
    nearest = torch.cdist(noisy / scale, centres / scale).argmin(1)
    return float((nearest == torch.arange(80) % 2).float().mean())


def test_it_tells_noisy_pictures_apart_that_it_could_not(given: Given) -> None:
    before, state = accuracy(given.towers), given.towers.state_dict()
    kept = {name: value.clone() for name, value in state.items()}
    learnt = given.train()
    assert accuracy(learnt) > max(0.75, before + 0.1)
    for name, value in given.towers.state_dict().items():
        assert torch.equal(value, kept[name]), name  # they are the teacher's
    for name, value in learnt.text.state_dict().items():
        assert torch.equal(value, kept[f"text.{name}"])


def cut_after(steps: int) -> Callable[[str, int, int], None]:
    def progress(name: str, done: int, total: int) -> None:
        if done == steps:
            raise KeyboardInterrupt

    return progress


def test_a_run_that_was_cut_off_goes_on_to_the_same_weights(given: Given, tmp_path: Path) -> None:
    short = replace(RECIPE, epochs=3)
    whole = given.train(short)
    with pytest.raises(KeyboardInterrupt):
        given.train(short, work=tmp_path, progress=cut_after(9))
    assert list(tmp_path.glob("image_tower/checkpoint-*"))
    seen: list[int] = []
    resumed = given.train(short, work=tmp_path, progress=lambda _, done, total: seen.append(done))
    assert seen[0] > 1
    assert seen[-1] == 3 * NUMBER // short.batch
    for name, value in resumed.state_dict().items():
        assert torch.equal(value, whole.state_dict()[name]), name
    again: list[int] = []
    given.train(short, work=tmp_path, progress=lambda _, done, total: again.append(done))
    assert again == []  # it is done


def test_nothing_to_learn_from_is_said_before_any_work(given: Given) -> None:
    silent = replace(given, targets=torch.full_like(given.targets, torch.nan))
    with pytest.raises(CovlaError, match="no picture to learn from"):
        silent.train()
    blind = [replace(item, image=None) for item in given.data.prepared]
    with pytest.raises(CovlaError, match="no picture to learn from"):
        replace(given, data=replace(given.data, prepared=blind)).train()
