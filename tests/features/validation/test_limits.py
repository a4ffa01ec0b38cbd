"""Limits hold back chance, whatever the number of posts, and not a stream that is far off."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scipy.special import betainc

from features.validation.limits import (
    expected_shares,
    most_divergence,
    most_of,
    volume_range,
)

N = st.integers(1, 5_000)


@given(N, st.floats(0.01, 0.99))
def test_a_stream_at_the_limit_is_over_it_once_in_ten_thousand(n: int, share: float) -> None:
    most = most_of(n, share)
    # P(K > k) of a binomial K is an incomplete beta function (DLMF 8.17.5).
    above = betainc(most + 1, n - most, share) if most < n else 0
    assert above <= 1e-4 * (1 + 1e-6)


@given(N, st.floats(0, 1), st.floats(0, 1))
def test_a_higher_limit_allows_no_less(n: int, a: float, b: float) -> None:
    assert most_of(n, min(a, b)) <= most_of(n, max(a, b))
    assert most_of(n, a) <= most_of(n + 1, a)


def test_a_limit_of_nothing_allows_nothing() -> None:
    assert (most_of(10_000, 0), most_of(0, 0.5)) == (0, 0)


@pytest.mark.parametrize(("n", "share", "bad"), [(40, 0.05, 0.4), (300, 0.1, 0.3), (60, 0.75, 1)])
def test_a_stream_that_is_far_off_is_over_the_limit(n: int, share: float, bad: float) -> None:
    assert n * bad > most_of(n, share)


@given(st.lists(st.integers(0, 3_000), min_size=6, max_size=30))
def test_volumes_that_were_there_are_in_the_range(counts: list[int]) -> None:
    low, high = volume_range(counts, 2)
    assert low <= min(counts)
    assert max(counts) <= high


def test_a_quiet_night_is_no_outage_and_a_tenth_of_a_busy_hour_is() -> None:
    assert volume_range([5, 9, 12, 4, 8, 7], 2)[0] == 0
    low, high = volume_range([480, 520, 500, 510, 495, 505], 2)
    assert 50 < low < 250
    assert 1_000 < high < 3_000


@hypothesis_settings(max_examples=20)
@given(st.integers(60, 3_000), st.integers(0, 5))
def test_labels_of_the_reference_are_within_the_divergence(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.integers(20, 200, 11)
    expected = expected_shares(np.array([*counts, 0.0]))
    drawn = np.append(rng.multinomial(n, counts / counts.sum()), 0) / n
    assert divergence(drawn, expected) <= most_divergence(n, 12, 0.3)


def test_one_label_alone_is_over_the_divergence() -> None:
    expected = expected_shares(np.array([*[50.0] * 11, 0]))
    one = np.eye(12)[0]
    assert divergence(one, expected) > most_divergence(60, 12, 0.3)
    unknown = np.eye(12)[11]
    assert np.isfinite(divergence(unknown, expected))


def divergence(shares: np.ndarray, expected: np.ndarray) -> float:
    """Kullback-Leibler, in nats, by its definition."""
    some = shares > 0
    return float((shares[some] * np.log(shares[some] / expected[some])).sum())
