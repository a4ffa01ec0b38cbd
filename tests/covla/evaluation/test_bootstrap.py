"""Metrics in resamples are those of the posts that each resample drew."""

import numpy as np
import pytest
from sklearn.metrics import f1_score, recall_score

from covla.evaluation.bootstrap import Bootstrap
from covla.metrics import FAILED, ece, macro_f1

RNG = np.random.default_rng(0)
Y_TRUE = RNG.integers(0, 4, 300)


def answers(share: float, seeds: int = 3) -> np.ndarray:
    """Right for about `share` of the posts, another label for the rest."""
    right = RNG.random((seeds, len(Y_TRUE))) < share
    return np.where(right, Y_TRUE, (Y_TRUE + 1) % 4)


def test_the_first_resample_is_the_posts_themselves() -> None:
    y_pred = answers(0.7)
    bootstrap = Bootstrap(Y_TRUE, 4, samples=50)
    assert bootstrap.accuracy(y_pred)[0] == pytest.approx((y_pred == Y_TRUE).mean())
    expected = np.mean([f1_score(Y_TRUE, row, average="macro") for row in y_pred])
    assert bootstrap.macro_f1(y_pred)[0] == pytest.approx(expected, abs=1e-5)


def test_a_resample_is_scored_as_scikit_learn_scores_the_posts_that_it_drew() -> None:
    y_pred = answers(0.6, seeds=1)
    bootstrap = Bootstrap(Y_TRUE, 4, samples=3)
    drawn = np.repeat(np.arange(len(Y_TRUE)), bootstrap.weights[2].astype(int))
    expected = f1_score(Y_TRUE[drawn], y_pred[0][drawn], average="macro")
    assert bootstrap.macro_f1(y_pred)[2] == pytest.approx(expected, abs=1e-5)
    assert bootstrap.accuracy(y_pred)[2] == pytest.approx(
        (y_pred[0] == Y_TRUE)[drawn].mean(), abs=1e-5
    )


def test_recall_and_calibration_of_a_resample_are_those_of_the_posts_that_it_drew() -> None:
    bootstrap = Bootstrap(Y_TRUE, 4, samples=3)
    probabilities = RNG.dirichlet(np.ones(4), len(Y_TRUE))
    y_pred = probabilities.argmax(1)
    usable = RNG.random(len(Y_TRUE)) < 0.9
    found = bootstrap.ece(probabilities.max(1), y_pred == Y_TRUE, usable)
    for row in (0, 2):
        drawn = np.repeat(np.arange(len(Y_TRUE)), bootstrap.weights[row].astype(int))
        expected = recall_score(Y_TRUE[drawn], y_pred[drawn], average=None)[1]
        assert bootstrap.recall(y_pred, 1)[row] == pytest.approx(expected, abs=1e-6)
        kept = drawn[usable[drawn]]
        assert found[row] == pytest.approx(ece(probabilities[kept], Y_TRUE[kept]), abs=1e-6)


def test_a_post_without_a_prediction_is_missed_by_its_own_label_alone() -> None:
    y_pred = np.where(np.arange(len(Y_TRUE)) % 5, Y_TRUE, FAILED)
    found = Bootstrap(Y_TRUE, 4, samples=1).macro_f1(y_pred[None])[0]
    assert found == pytest.approx(macro_f1(Y_TRUE, y_pred), abs=1e-6)
