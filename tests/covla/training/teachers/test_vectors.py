"""From what a teacher says to what a student is taught."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from covla.errors import CovlaError
from covla.posts.preprocessing import PreparedPost
from covla.posts.taxonomy import load_taxonomy
from covla.posts.training_post import TrainingPost
from covla.settings import Settings
from covla.training.dataset import PreparedDataset
from covla.training.teachers import vectors as teaching
from covla.training.teachers.resolve import ENSEMBLE, resolve
from covla.training.teachers.vectors import check_teacher, standardise, teacher_vectors

Checkpoint = Callable[[str], Path]


def quiet_progress(name: str, done: int, total: int) -> None:
    del name, done, total


def taught(kind: str, data: PreparedDataset, settings: Settings) -> Any:
    no_encoders: Any = None  # only an ensemble needs them
    teacher = resolve(kind, settings)
    return teacher_vectors(teacher, data, no_encoders, load_taxonomy(), settings, 0, quiet_progress)


@pytest.fixture
def data(rows: list[TrainingPost], prepared: list[PreparedPost]) -> PreparedDataset:
    return PreparedDataset(rows, prepared, torch.full((len(rows),), -1), 0)


def test_standardised_vectors_have_mean_0_and_variance_1_where_known() -> None:
    vectors = np.random.default_rng(0).normal(3, 2, (50, 4)).astype(np.float32)
    known = np.arange(50) < 30
    scaled = standardise(vectors, known)
    np.testing.assert_allclose(scaled[known].mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(scaled[known].std(0), 1, atol=1e-4)


def test_a_missing_side_becomes_the_mean_and_a_silent_row_stays_silent() -> None:
    vectors = np.random.default_rng(0).normal(3, 2, (50, 4)).astype(np.float32)
    vectors[:10, 2:] = np.nan
    vectors[10] = np.nan
    scaled = standardise(vectors, ~np.isnan(vectors).all(1))
    assert (scaled[:10, 2:] == 0).all()
    assert np.isnan(scaled[10]).all()
    np.testing.assert_allclose(scaled[11:, 2:].mean(0), 0, atol=1e-5)
    nowhere = vectors.copy()
    nowhere[:, 3] = np.nan  # no post has this side
    assert (standardise(nowhere, np.arange(50) > 10)[11:, 3] == 0).all()


@pytest.mark.parametrize(("family", "width"), [("lfm2_vl", 32), ("siglip2", 64), ("clip", 48)])
def test_students_are_taught_vectors_of_any_width(
    family: str, width: int, checkpoint: Checkpoint, data: PreparedDataset, settings: Settings
) -> None:
    data.posts[2].split = "holdout"
    vectors = taught(str(checkpoint(family)), data, settings)
    assert vectors.shape == (len(data.posts), width)
    assert np.isnan(vectors[2]).all()  # it never trains, so the teacher is not asked
    known = np.delete(vectors, 2, axis=0)
    assert np.isfinite(known).all()
    np.testing.assert_allclose(known.mean(0), 0, atol=0.02)


def test_none_teaches_nothing(data: PreparedDataset, settings: Settings) -> None:
    assert taught("none", data, settings) is None


def test_stored_vectors_are_used_and_the_others_are_asked_for(
    checkpoint: Checkpoint,
    data: PreparedDataset,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kind = str(checkpoint("clip"))
    teacher = resolve(kind)
    for row in data.posts[:3]:
        row.teacher, row.teacher_id = np.full(48, 7, np.float32), teacher.id
    data.posts[3].teacher = np.zeros(11, np.float32)
    data.posts[3].teacher_id = "ensemble-0123456789abcdef"  # another teacher's, of another width
    asked: list[str] = []

    def spy(_: Any, posts: list[TrainingPost], *args: Any, **kwargs: Any) -> Any:
        asked.extend(row.post_id for row in posts)
        return np.random.default_rng(0).normal(size=(len(posts), 48)).astype(np.float32)

    monkeypatch.setattr(teaching, "ask", spy)
    vectors = taught(kind, data, settings)
    assert asked == [row.post_id for row in data.posts[3:]]
    assert (vectors[0] == vectors[2]).all()


def test_stored_vectors_of_another_width_are_refused(
    checkpoint: Checkpoint, rows: list[TrainingPost], settings: Settings
) -> None:
    kind = str(checkpoint("clip"))
    rows[4].teacher, rows[4].teacher_id = np.zeros(11, np.float32), resolve(kind).id
    message = r"stored vector of post words is 11 wide, .* says 48. Ask the teacher about"
    with pytest.raises(CovlaError, match=message):
        check_teacher(resolve(kind), rows)
    for i, width in enumerate((11, 12)):
        rows[i].teacher = np.zeros(width, np.float32)
        rows[i].teacher_id = f"ensemble-{i}"
    with pytest.raises(CovlaError, match="stored vector of post tall is 12 wide, ensemble says 11"):
        check_teacher(ENSEMBLE, rows)


def test_an_ensembles_stored_vectors_are_used_only_when_all_are_an_ensembles(
    data: PreparedDataset, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i, row in enumerate(data.posts[:5]):
        row.teacher, row.teacher_id = np.arange(3, dtype=np.float32) * i, f"ensemble-{i}"
    monkeypatch.setattr(teaching, "ensemble_vectors", lambda *_: pytest.fail("trained"))
    vectors = taught("ensemble", data, settings)
    assert np.isnan(vectors[5:]).all()
    assert np.isfinite(vectors[:5]).all()
    data.posts[0] = replace(data.posts[0], teacher_id="clip-0123456789abcdef")
    trained = np.random.default_rng(0).normal(size=(len(data.posts), 3)).astype(np.float32)
    monkeypatch.setattr(teaching, "ensemble_vectors", lambda *_: (trained, "ensemble-1"))
    assert np.isfinite(taught("ensemble", data, settings)).all()


def test_a_teacher_that_is_silent_about_all_that_trains_is_refused(
    data: PreparedDataset, settings: Settings
) -> None:
    for row in data.posts:
        row.split = "holdout"
    data.posts[0].teacher = np.zeros(3, np.float32)
    with pytest.raises(CovlaError, match="ensemble says nothing about any post that trains"):
        taught("ensemble", data, settings)
