import numpy as np
import pytest
from scipy.stats import ks_2samp

from covla.arrays import DoubleArray
from monitoring.pairing import Pairing

Pairs = tuple[DoubleArray, DoubleArray]


def pairs(n: int, seed: int, common: float = 1.0) -> Pairs:
    """Components of texts and images with two things in common, in other places and units."""
    rng = np.random.default_rng(seed)
    text, image = rng.standard_normal((n, 8)), rng.standard_normal((n, 12))
    shared = rng.standard_normal((n, 2))
    text[:, [1, 4]] += common * shared
    image[:, [7, 2]] += common * shared
    return text * 3 + 1, image / 5 - 2


def mixed(both: Pairs) -> Pairs:
    return both[0], np.roll(both[1], 1, axis=0)


def test_pairs_that_belong_together_have_higher_values_than_mixed_ones() -> None:
    pairing = Pairing.fit(*pairs(800, 0))
    together, apart = pairing(*pairs(300, 1)), pairing(*mixed(pairs(300, 1)))
    assert np.mean(together) > 0 > np.mean(apart)
    assert ks_2samp(together, apart)[1] < 1e-3


def test_other_pairs_of_the_same_kind_have_the_same_values() -> None:
    pairing = Pairing.fit(*pairs(800, 0))
    found = [
        ks_2samp(pairing(*pairs(400, seed)), pairing(*pairs(150, 100 + seed)))[1]
        for seed in range(1, 41)
    ]
    assert sum(p < 0.05 for p in found) <= 6  # 5 % of 40 are 2; more than 6 come once in 200


@pytest.mark.parametrize("n", [64, 800])
def test_what_correlates_by_chance_counts_for_little(n: int) -> None:
    pairing = Pairing.fit(*pairs(n, 0, common=0))
    assert np.sum(pairing.correlations**2) < 1
    assert np.isfinite(pairing(*pairs(100, 1))).all()


def test_equal_components_and_constant_ones_give_finite_values() -> None:
    text, _ = pairs(200, 0)
    text[:, 0] = 1.0
    values = Pairing.fit(text, text.copy())(text, text)
    assert np.isfinite(values).all()
    assert values.mean() > 1
