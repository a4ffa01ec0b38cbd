"""Teacher `self`: a CoVLA model folder about posts without a label."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import torch

from covla.errors import CovlaError
from covla.inference.predictor import Predictor
from covla.posts.image_store import BlobStore
from covla.posts.preprocessing import PreparedPost, prepare
from covla.posts.training_post import TrainingPost
from covla.settings import Settings
from covla.training.teachers.embeddings import ask
from covla.training.teachers.resolve import resolve
from covla.training.teachers.vectors import check_teacher

Rows = list[TrainingPost]


@pytest.mark.slow
def test_it_says_what_the_model_predicts_and_nothing_about_labelled_posts(
    tiny_folder: Path, rows: Rows, prepared: list[PreparedPost], settings: Settings
) -> None:
    teacher = resolve(str(tiny_folder))
    rows[1] = replace(rows[1], label="home")
    vectors = ask(teacher, rows, prepared, settings)
    assert np.isnan(vectors[1]).all()
    spoken = [0, *range(2, len(rows))]
    assert np.isfinite(vectors[spoken]).all()
    model = Predictor.load(tiny_folder, settings)
    for i in spoken:
        (said,) = model.predict([rows[i].post])
        assert not isinstance(said, Exception)
        expected = [said.probabilities[name] for name in model.labels]
        heard = torch.from_numpy(vectors[i, : len(expected)]).exp().numpy()
        np.testing.assert_allclose(heard, expected, atol=2e-3)  # kept in fp16
    # Context is part of the question: the same words at another hour are asked again.
    later = replace(rows[0], post=rows[0].post.model_copy(
        update={"created_at": rows[0].post.created_at + timedelta(hours=9)}))  # fmt: skip
    at_night = prepare(later.post, settings, BlobStore(settings))
    other = ask(teacher, [later], [at_night], settings)
    assert not np.array_equal(other[0], vectors[0])


def test_it_is_refused_where_every_post_has_a_label(
    tiny_folder: Path, rows: Rows, settings: Settings
) -> None:
    labelled = [replace(row, label="home") for row in rows]
    teacher = resolve(str(tiny_folder), settings)
    check_teacher(teacher, rows)
    with pytest.raises(CovlaError, match="only speaks about posts without a label"):
        check_teacher(teacher, labelled)
