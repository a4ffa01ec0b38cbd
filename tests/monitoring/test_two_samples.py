import numpy as np
import pandas as pd
import pytest
from scipy.stats import fisher_exact

from monitoring.two_samples import PERMUTATIONS, homogeneity, mmd_p_value


def test_equal_distributions_give_uniform_p_values():
    rng = np.random.default_rng(0)
    found = [
        mmd_p_value(rng.standard_normal((60, 4)), rng.standard_normal((40, 4))) for _ in range(60)
    ]
    assert 0.3 < np.mean(found) < 0.7
    assert min(found) > 1 / (PERMUTATIONS + 1)


@pytest.mark.parametrize("change", [lambda x: x + 1, lambda x: x * 2, np.abs])
def test_finds_changes_of_place_spread_and_shape(change):
    rng = np.random.default_rng(0)
    reference, window = rng.standard_normal((200, 4)), rng.standard_normal((100, 4))
    assert mmd_p_value(reference, change(window)) == pytest.approx(1 / (PERMUTATIONS + 1))


def test_identical_rows_are_no_drift():
    same = np.ones((40, 3))
    assert mmd_p_value(same, same) == 1.0


def test_twice_the_same():
    rng = np.random.default_rng(0)
    pair = rng.standard_normal((80, 4)), rng.standard_normal((50, 4)) + 0.1
    assert mmd_p_value(*pair) == mmd_p_value(*pair)


def test_stopping_early_keeps_the_false_alarms_at_their_level():
    rng = np.random.default_rng(0)
    found = [mmd_p_value(rng.standard_normal((40, 2)), rng.standard_normal((30, 2)), seed=i)
             for i in range(400)]  # fmt: skip
    for level in (0.05, 0.2, 0.5):
        # Three standard errors of a share of 400.
        assert (
            abs(np.mean(np.array(found) <= level) - level) < 3 * (level * (1 - level) / 400) ** 0.5
        )


def test_a_small_p_value_is_that_of_all_permutations():
    rng = np.random.default_rng(3)
    reference, window = rng.standard_normal((80, 3)), rng.standard_normal((60, 3)) + 0.3
    count = mmd_p_value(reference, window) * (PERMUTATIONS + 1)
    assert 1 < count <= 20
    assert count == pytest.approx(round(count))


def yes_no(yes, no):
    return pd.Series(["yes"] * yes + ["no"] * no)


def test_two_categories_are_fishers_exact_test():
    assert homogeneity(yes_no(30, 970), yes_no(9, 91)) == pytest.approx(
        fisher_exact([[30, 9], [970, 91]])[1]
    )


def test_a_category_that_is_new_counts():
    reference = pd.Series(["en"] * 800 + ["es"] * 200)
    assert homogeneity(reference, pd.Series(["en"] * 80 + ["ja"] * 20)) < 1e-6


def test_one_category_on_both_sides_is_no_drift():
    assert homogeneity(yes_no(50, 0), yes_no(40, 0)) == 1.0


def test_rare_categories_give_no_false_alarms():
    rng = np.random.default_rng(0)
    names = [f"l{i}" for i in range(12)]
    shares = np.array([0.85, *[0.15 / 11] * 11])
    draw = lambda n: pd.Series(rng.choice(names, n, p=shares))  # noqa: E731
    low = sum(homogeneity(draw(1000), draw(100)) < 0.05 for _ in range(200))
    assert low <= 22  # 5 % of 200 are 10; more than 22 has a chance under 1 in 1,000
