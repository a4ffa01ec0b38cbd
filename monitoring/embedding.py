"""Embedding drift: a kernel two-sample test, as a metric of Evidently.

Evidently 0.7 has an embedding metric, but it draws a t-SNE of every row, cannot leave out posts
without the modality, and returns a distance with a fixed threshold, not a p-value (evidently#1526,
#1781). This one is exact for any window size and takes a fraction of a second.
"""

from typing import Any

import numpy as np
from evidently.core.metric_types import SingleValue, SingleValueCalculation, SingleValueMetric
from evidently.core.report import Context
from evidently.legacy.renderers.html_widgets import CounterData, counter

PERMUTATIONS = 1_999

Rows = np.ndarray[Any, np.dtype[np.float64]]


def mmd_p_value(reference: Rows, current: Rows, *, seed: int = 0) -> float:
    """Permutation p-value of the maximum mean discrepancy (Gretton et al. 2012, JMLR 13).

    Gaussian kernel, its width by the median heuristic. Rows are N x components; at least
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
    as_large = statistics[1:] >= statistics[0] * (1 - 1e-9)
    return float((1 + as_large.sum()) / (1 + PERMUTATIONS))


class EmbeddingDrift(SingleValueMetric):  # type: ignore[misc]
    """Drift of the columns `prefix_01 ...`, rows without them left out."""

    prefix: str
    threshold: float


class EmbeddingDriftCalculation(SingleValueCalculation[EmbeddingDrift]):  # type: ignore[misc]
    """Found by Evidently through its type argument."""

    def calculate(self, context: Context, current_data: Any, reference_data: Any) -> SingleValue:
        prefix = self.metric.prefix
        current, reference = (
            side.as_dataframe().filter(regex=rf"^{prefix}_\d+$").dropna().to_numpy()
            for side in (current_data, reference_data)
        )
        p_value = mmd_p_value(reference, current)
        found = "detected" if p_value < self.metric.threshold else "not detected"
        result = self.result(p_value)
        label = f"Drift {found}. MMD permutation test, p-value {p_value:.4f}"
        result.widget = [counter(title="", counters=[CounterData(label, self.display_name())])]
        return result

    def display_name(self) -> str:
        return f"Drift in {self.metric.prefix}"
