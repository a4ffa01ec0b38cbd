"""Posts that differ in nothing, or in one thing alone: numbers come out, or one line says why."""

import base64
import io
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from safetensors.torch import load_file

from covla.errors import CovlaError
from covla.posts.synthetic.generate import generate
from covla.posts.taxonomy import load_taxonomy
from covla.posts.training_post import TrainingPost
from covla.schemas.post import Image
from covla.settings import Settings
from covla.training.config import Plan
from covla.training.recipe import Recipe
from covla.training.run import train
from covla.training.teachers.resolve import ENSEMBLE, NO_TEACHER

pytestmark = pytest.mark.slow
WEEK = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 8, tzinfo=UTC)
SHORT = Recipe(pretrain_epochs=1, epochs=2, batch=16, noisy_copies=0)
Rows = list[TrainingPost]


def flat(level: int) -> Image:
    file = io.BytesIO()
    Pillow.new("RGB", (300, 200), (level, level, level)).save(file, "PNG")
    return Image(data=base64.b64encode(file.getvalue()).decode())


def posts() -> Rows:
    made = generate(60, 1, *WEEK, labels=["home", "school", "beach_coast"])
    return [
        TrainingPost(item.post, item.label, "train" if i % 6 else "holdout")
        for i, (item, _) in enumerate(made)
    ]


def with_fields(**fields: object) -> Callable[[Rows], Rows]:
    return lambda rows: [replace(r, post=r.post.model_copy(update=fields)) for r in rows]


def first_of_each(rows: Rows) -> Rows:
    return [replace(row, split="train") for row in {row.label: row for row in rows}.values()]


def one_held_out(rows: Rows) -> Rows:
    return [replace(row, split="holdout" if i == 3 else "train") for i, row in enumerate(rows)]


def one_of_a_label(rows: Rows) -> Rows:
    home = next(row for row in rows if row.label == "home")
    return [*(row for row in rows if row.label != "home"), replace(home, split="train")]


def taught(bad: float) -> Callable[[Rows], Rows]:
    def make(rows: Rows) -> Rows:
        vectors = np.random.default_rng(0).normal(size=(len(rows), 8)).astype(np.float32)
        vectors[::5, 2] = bad
        return [replace(r, teacher=v, teacher_id="ensemble-x") for r, v in zip(rows, vectors)]  # noqa: B905

    return make


ODD: dict[str, Callable[[Rows], Rows]] = {
    "one grey picture everywhere": with_fields(image=flat(127)),
    "one white picture everywhere": with_fields(image=flat(255)),
    "one text everywhere": with_fields(text="the same words everywhere"),
    "all equal": with_fields(text="the same words everywhere", image=flat(127)),
    "no picture": with_fields(image=None, text="some words"),
    "no text": with_fields(image=flat(40), text=""),
    "one post a label": first_of_each,
    "one post held out": one_held_out,
    "one post of a label": one_of_a_label,
    "a teacher with infinity": taught(np.inf),
    "a teacher with NaN": taught(np.nan),
    "a teacher with a huge number": taught(3e38),
}


@pytest.fixture(scope="module")
def settings(
    tmp_path_factory: pytest.TempPathFactory, fresh_state: Callable[[Path], Path]
) -> Settings:
    return Settings(state=fresh_state(tmp_path_factory.mktemp("odd") / "state"), device="cpu")


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("preset", ["base", "tiny"])
def test_odd_posts_make_a_model_of_numbers(
    kind: str, preset: str, settings: Settings, tmp_path: Path
) -> None:
    teacher = NO_TEACHER if preset == "tiny" else ENSEMBLE
    out = tmp_path / "model"
    plan = Plan(preset=preset, teacher=teacher, recipe=SHORT)
    train(ODD[kind](posts()), plan, out, load_taxonomy(), settings)
    weights = load_file(out / "model.safetensors")
    assert all(torch.isfinite(each).all() for each in weights.values())


@pytest.mark.parametrize("stage", ["pretrain", "finetune"])
def test_a_loss_that_leaves_the_numbers_is_named_and_no_model_is_there(
    stage: str, settings: Settings, tmp_path: Path
) -> None:
    recipe = replace(SHORT, learning_rate=1e30, pretrain_epochs=int(stage == "pretrain"))
    with pytest.raises(CovlaError, match=rf"the loss is no number in stage {stage}, step \d of \d"):
        train(posts(), Plan(recipe=recipe), tmp_path / "model", load_taxonomy(), settings)
    assert not (tmp_path / "model").exists()


def test_weights_that_leave_the_numbers_at_the_last_step_are_named(
    settings: Settings, tmp_path: Path
) -> None:
    last = replace(SHORT, pretrain_epochs=0, epochs=2, batch=64, learning_rate=1e39)
    with pytest.raises(CovlaError, match=r"training: \S+ is no number after the last step"):
        train(posts(), Plan(recipe=last), tmp_path / "model", load_taxonomy(), settings)
    assert not (tmp_path / "model").exists()
