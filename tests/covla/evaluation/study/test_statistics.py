import numpy as np
import pytest
from sklearn.metrics import f1_score

from covla.evaluation.study.statistics import Bootstrap, Difference, Spread, difference, spread

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


def test_a_clear_difference_is_told_from_none() -> None:
    bootstrap = Bootstrap(Y_TRUE, 4)
    good, bad, same = answers(0.9), answers(0.6), answers(0.6)
    for metric in (bootstrap.accuracy, bootstrap.macro_f1):
        found = difference(metric(good), metric(bad))
        assert found.interval[0] > 0.2
        assert found.interval[0] < found.difference < found.interval[1]
        low, high = difference(metric(same), metric(bad)).interval
        assert low < 0 < high
        assert difference(metric(bad), metric(bad)) == Difference(0.0, [0.0, 0.0])


def test_the_interval_has_the_width_of_the_normal_approximation() -> None:
    good, bad = answers(0.8, seeds=1), answers(0.7, seeds=1)
    bootstrap = Bootstrap(Y_TRUE, 4, samples=4000)
    found = difference(bootstrap.accuracy(good), bootstrap.accuracy(bad))
    gaps = (good[0] == Y_TRUE).astype(float) - (bad[0] == Y_TRUE)
    width = 2 * 1.96 * gaps.std() / np.sqrt(len(gaps))
    assert found.interval[1] - found.interval[0] == pytest.approx(width, rel=0.1)


def test_spread_is_that_of_a_sample() -> None:
    assert spread([1.0, 3.0]) == Spread(2.0, pytest.approx(2**0.5))
    assert spread([0.5]).std == 0.0
