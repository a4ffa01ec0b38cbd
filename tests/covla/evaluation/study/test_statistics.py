import numpy as np
import pytest

from covla.evaluation.bootstrap import Bootstrap
from covla.evaluation.study.statistics import Difference, Spread, difference, spread

RNG = np.random.default_rng(0)
Y_TRUE = RNG.integers(0, 4, 300)


def answers(share: float, seeds: int = 3) -> np.ndarray:
    """Right for about `share` of the posts, another label for the rest."""
    right = RNG.random((seeds, len(Y_TRUE))) < share
    return np.where(right, Y_TRUE, (Y_TRUE + 1) % 4)


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
