"""Two-sample tests that Evidently lacks, valid for few posts. Each returns a p-value.

Evidently's chi-square takes the reference for exact and divides by zero at a category that is
new; its Fisher test wants both sides of equal length. Its embedding drift is a distance with a
fixed threshold (evidently#1526, #1781).
"""

import numpy as np
import pandas as pd
from scipy.stats import chi2_contingency, fisher_exact

from covla.arrays import DoubleArray

PERMUTATIONS = 99_999  # so many that one time range alone can open an alert (drift_alerts.py)
_ENOUGH = 20  # permutations at least as large as the data; more would only sharpen "no drift"
_BATCH = 100
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

    Gaussian kernel, its width by the median heuristic. It stops at the 20th permutation that is
    as large as the data (Besag and Clifford 1991, Biometrika 78), which is exact too: without
    drift after some hundred, with drift it takes seconds. DoubleArray are N x components; at
    least 1 / (PERMUTATIONS + 1), and the same for the same rows.
    """
    rows = np.vstack([reference, current])
    squares = (rows**2).sum(axis=1)
    distances = np.maximum(squares[:, None] + squares - 2 * rows @ rows.T, 0)
    scale = np.median(distances[np.triu_indices(len(rows), 1)])
    kernel = np.exp(-distances / max(scale, 1e-12))
    # The weights add up to 0, so that centring changes no statistic: single precision is enough.
    middle = kernel.mean(axis=0)
    kernel = (kernel - middle - middle[:, None] + middle.mean()).astype(np.float32)
    sizes = len(reference), len(current)
    weights = np.repeat([1 / sizes[0], -1 / sizes[1]], sizes).astype(np.float32)
    rng = np.random.default_rng(seed)
    # A permutation that lands on the same split must not lose by rounding.
    observed = (weights @ kernel @ weights) * (1 - 1e-5) - 1e-10
    as_large = 0
    for done in range(0, PERMUTATIONS, _BATCH):
        tiled = np.tile(weights, (min(_BATCH, PERMUTATIONS - done), 1))
        signs = rng.permuted(tiled, axis=1)
        counts = as_large + np.cumsum(np.einsum("bi,bi->b", signs @ kernel, signs) >= observed)
        if counts[-1] >= _ENOUGH:
            return float(_ENOUGH / (done + 1 + np.argmax(counts >= _ENOUGH)))
        as_large = int(counts[-1])
    return float((1 + as_large) / (1 + PERMUTATIONS))
