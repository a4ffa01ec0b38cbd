"""Paired bootstrap over posts (Efron and Tibshirani 1993), averaged over seeds."""

from typing import Any

import numpy as np

from covla.arrays import Array


class Bootstrap:
    """The same resamples of the judged posts for every row, so that any two rows are paired.

    Args:
        truth: n label indices.
        classes: C.
        samples: how many resamples, R.
    """

    def __init__(self, truth: Array, classes: int, *, samples: int = 4000, seed: int = 0) -> None:
        n = len(truth)
        rng = np.random.default_rng(seed)
        self.truth, self.classes = truth, classes
        # How often each post is drawn. The first row is the sample itself.
        drawn = rng.multinomial(n, np.full(n, 1 / n), size=samples)
        self.weights = np.vstack([np.ones((1, n)), drawn]).astype(np.float32)

    def _hot(self, indices: Array) -> Array:
        hot: Array = np.eye(self.classes, dtype=np.float32)[indices]
        return hot

    def accuracy(self, said: Array) -> Array:
        """Answers of S seeds, S x n, to the mean accuracy over seeds in each resample, 1 + R; the
        first is that of the posts themselves."""
        right = (said == self.truth).mean(0)
        shares: Array = self.weights @ right / len(self.truth)
        return shares

    def macro_f1(self, said: Array) -> Array:
        """The same for macro-F1, over the labels that occur, as truth or as an answer."""
        truth = self._hot(self.truth)
        occurs = self.weights @ truth
        total = np.zeros(len(self.weights))
        for answers in said:
            hot = self._hot(answers)
            both = occurs + self.weights @ hot
            f1 = 2 * (self.weights @ (hot * truth)) / np.maximum(both, 1e-9)
            total += f1.sum(1) / (both > 0).sum(1)
        return total / len(said)


def difference(ours: Array, theirs: Array) -> dict[str, Any]:
    """Two results of `Bootstrap` to their difference and its 95 % percentile interval."""
    gap = ours - theirs
    low, high = np.quantile(gap[1:], [0.025, 0.975])
    return {"difference": float(gap[0]), "interval": [float(low), float(high)]}


def spread(values: list[float]) -> dict[str, float]:
    """Mean and standard deviation (of a sample) over seeds; 0 for a single one."""
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return {"mean": float(np.mean(values)), "std": deviation}
