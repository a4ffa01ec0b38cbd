"""Limits for a sample: what the posts themselves may be off, and what chance adds in so many.

Each limit is the quantile of what is seen of a stream that is exactly as far off as the file of
expectations allows. So a stream within the file's limit breaks one with a probability of at most
`ALPHA` in a time range, however few posts it has.
"""

import numpy as np
from scipy.stats import binom, ncx2, poisson

from covla.arrays import DoubleArray

ALPHA = 1e-4  # of one expectation in one time range
HOLDOUT = 0.05  # of the reference's shares, spread over all categories


def most_of(n: int, share: float) -> int:
    """The most of `n` posts that may break an expectation which `share` of all posts break."""
    return int(binom.ppf(1 - ALPHA, n, share)) if n and share > 0 else 0


def volume_range(counts: list[int], factor: float) -> tuple[int, int]:
    """The fewest and the most posts of a time range, after others with these counts."""
    low = poisson.ppf(ALPHA, min(counts) / factor)
    high = poisson.ppf(1 - ALPHA, max(counts) * factor)
    return int(low), int(high)


def expected_shares(counts: DoubleArray) -> DoubleArray:
    """The shares of categories in a reference with these counts.

    A part of them is spread evenly, so that a category which the reference lacks is unlikely and
    not impossible: the divergence would be infinite for one post of it.
    """
    shares = counts / counts.sum()
    mixed: DoubleArray = (1 - HOLDOUT) * shares + HOLDOUT / len(shares)
    return mixed


def most_divergence(n: int, categories: int, divergence: float) -> float:
    """The largest Kullback-Leibler divergence, in nats, of the shares of `n` posts from shares
    that all posts are `divergence` from.

    2 n times it is distributed as a noncentral chi-squared variable with `categories` - 1 degrees
    of freedom and noncentrality 2 n `divergence` (the likelihood-ratio test; Wilks 1938).
    """
    freedom = max(categories - 1, 1)
    return float(ncx2.ppf(1 - ALPHA, freedom, 2 * n * max(divergence, 1e-9)) / (2 * n))


def range_of(values: DoubleArray) -> tuple[float, float]:
    """The range of 98 % of a reference's values."""
    low, high = np.quantile(values, (0.01, 0.99))
    return float(low), float(high)
