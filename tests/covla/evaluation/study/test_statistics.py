import numpy as np
import pytest
from sklearn.metrics import f1_score

from covla.evaluation.study.statistics import Bootstrap, difference, spread

RNG = np.random.default_rng(0)
TRUTH = RNG.integers(0, 4, 300)


def answers(share: float, seeds: int = 3) -> np.ndarray:
    """Right for about `share` of the posts, another label for the rest."""
    right = RNG.random((seeds, len(TRUTH))) < share
    return np.where(right, TRUTH, (TRUTH + 1) % 4)


def test_the_first_resample_is_the_posts_themselves() -> None:
    said = answers(0.7)
    bootstrap = Bootstrap(TRUTH, 4, samples=50)
    assert bootstrap.accuracy(said)[0] == pytest.approx((said == TRUTH).mean())
    expected = np.mean([f1_score(TRUTH, row, average="macro") for row in said])
    assert bootstrap.macro_f1(said)[0] == pytest.approx(expected, abs=1e-5)


def test_a_resample_is_scored_as_scikit_learn_scores_the_posts_that_it_drew() -> None:
    said = answers(0.6, seeds=1)
    bootstrap = Bootstrap(TRUTH, 4, samples=3)
    drawn = np.repeat(np.arange(len(TRUTH)), bootstrap.weights[2].astype(int))
    expected = f1_score(TRUTH[drawn], said[0][drawn], average="macro")
    assert bootstrap.macro_f1(said)[2] == pytest.approx(expected, abs=1e-5)
    assert bootstrap.accuracy(said)[2] == pytest.approx((said[0] == TRUTH)[drawn].mean(), abs=1e-5)


def test_a_clear_difference_is_told_from_none() -> None:
    bootstrap = Bootstrap(TRUTH, 4)
    good, bad, same = answers(0.9), answers(0.6), answers(0.6)
    for metric in (bootstrap.accuracy, bootstrap.macro_f1):
        found = difference(metric(good), metric(bad))
        assert found["interval"][0] > 0.2
        assert found["interval"][0] < found["difference"] < found["interval"][1]
        low, high = difference(metric(same), metric(bad))["interval"]
        assert low < 0 < high
        assert difference(metric(bad), metric(bad)) == {"difference": 0.0, "interval": [0.0, 0.0]}


def test_the_interval_has_the_width_of_the_normal_approximation() -> None:
    good, bad = answers(0.8, seeds=1), answers(0.7, seeds=1)
    bootstrap = Bootstrap(TRUTH, 4, samples=4000)
    found = difference(bootstrap.accuracy(good), bootstrap.accuracy(bad))
    gaps = (good[0] == TRUTH).astype(float) - (bad[0] == TRUTH)
    width = 2 * 1.96 * gaps.std() / np.sqrt(len(gaps))
    assert found["interval"][1] - found["interval"][0] == pytest.approx(width, rel=0.1)


def test_spread_is_that_of_a_sample() -> None:
    assert spread([1.0, 3.0]) == {"mean": 2.0, "std": pytest.approx(2**0.5)}
    assert spread([0.5])["std"] == 0.0
