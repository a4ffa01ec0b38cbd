"""Two-sample tests that Evidently lacks, valid for few posts. Each returns a p-value.

Evidently's chi-square takes the reference for exact and divides by zero at a category that is
new; its Fisher test wants both sides of equal length. Its embedding drift is a distance with a
fixed threshold (evidently#1526, #1781).
"""

import numpy as np
import pandas as pd
from scipy.stats import chi2_contingency, fisher_exact

from covla.arrays import DoubleArray

PERMUTATIONS = 1_999
_LEAST_EXPECTED = 5  # Cochran's rule for the chi-square approximation


def homogeneity(reference: pd.Series, current: pd.Series) -> float:
    """p-value of "both come from the same categories": Fisher's exact test on two categories,
    chi-square on more, with rare categories taken together."""
    both = pd.concat([reference, current]).value_counts()
    if len(both) > 2:  # on two categories the test is exact, so nothing is too rare
        expected = both * len(current) / (len(reference) + len(current))
        common = both[expected >= _LEAST_EXPECTED].index
        reference, current = (s.where(s.isin(common), "\0rare") for s in (reference, current))
    counts = [side.value_counts() for side in (reference, current)]
    table = pd.concat(counts, axis=1).fillna(0).to_numpy()
    if len(table) < 2:
        return 1.0
    test = fisher_exact if len(table) == 2 else chi2_contingency
    return float(test(table)[1])


def mmd_p_value(reference: DoubleArray, current: DoubleArray, *, seed: int = 0) -> float:
    """Permutation p-value of the maximum mean discrepancy (Gretton et al. 2012, JMLR 13).

    Gaussian kernel, its width by the median heuristic. DoubleArray are N x components; at least
    1 / (PERMUTATIONS + 1), and the same for the same rows.
    """
    rows = np.vstack([reference, current])
    squares = (rows**2).sum(axis=1)
    distances = np.maximum(squares[:, None] + squares - 2 * rows @ rows.T, 0)
    scale = np.median(distances[np.triu_indices(len(rows), 1)])
    kernel = np.exp(-distances / max(scale, 1e-12))
    rng = np.random.default_rng(seed)
    weights = np.r_[
        np.full(len(reference), 1 / len(reference)), np.full(len(current), -1 / len(current))
    ]
    signs = np.vstack([weights, rng.permuted(np.tile(weights, (PERMUTATIONS, 1)), axis=1)])
    statistics = np.einsum("bi,bi->b", signs @ kernel, signs)
    # A permutation that lands on the same split must not lose by rounding.
    as_large = statistics[1:] >= statistics[0] - 1e-10
    return float((1 + as_large.sum()) / (1 + PERMUTATIONS))
