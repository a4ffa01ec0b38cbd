"""Paired bootstrap over posts (Efron and Tibshirani 1993), averaged over seeds."""

from dataclasses import dataclass

import numpy as np

from covla.arrays import Array


@dataclass(frozen=True)
class Difference:
    """With its 95 % percentile interval; as text `+0.012 [-0.003, +0.027]`."""

    difference: float
    interval: list[float]

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.difference:+.3f} [{low:+.3f}, {high:+.3f}]"


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation (of a sample) over seeds; as text `0.912 ± 0.004`."""

    mean: float
    std: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} ± {self.std:.3f}"


class Bootstrap:
    """The same resamples of the evaluated posts for every row, so that any two rows are paired.

    Args:
        y_true: n label indices.
        classes: C.
        samples: how many resamples, R.
    """

    def __init__(self, y_true: Array, classes: int, *, samples: int = 4000, seed: int = 0) -> None:
        n = len(y_true)
        rng = np.random.default_rng(seed)
        self.y_true, self.classes = y_true, classes
        # How often each post is drawn. The first row is the sample itself.
        drawn = rng.multinomial(n, np.full(n, 1 / n), size=samples)
        self.weights = np.vstack([np.ones((1, n)), drawn]).astype(np.float32)

    def _hot(self, indices: Array) -> Array:
        hot: Array = np.eye(self.classes, dtype=np.float32)[indices]
        return hot

    def accuracy(self, y_pred: Array) -> Array:
        """Predicted labels of S seeds, S x n, to the mean accuracy over seeds in each resample,
        1 + R; the first is that of the posts themselves."""
        correct = (y_pred == self.y_true).mean(0)
        shares: Array = self.weights @ correct / len(self.y_true)
        return shares

    def macro_f1(self, y_pred: Array) -> Array:
        """The same for macro-F1, over the labels that occur, as true or as predicted ones."""
        true = self._hot(self.y_true)
        occurs = self.weights @ true
        total = np.zeros(len(self.weights))
        for labels in y_pred:
            hot = self._hot(labels)
            both = occurs + self.weights @ hot
            f1 = 2 * (self.weights @ (hot * true)) / np.maximum(both, 1e-9)
            total += f1.sum(1) / (both > 0).sum(1)
        return total / len(y_pred)


def difference(ours: Array, theirs: Array) -> Difference:
    """Of two results of `Bootstrap`."""
    gap = ours - theirs
    return Difference(float(gap[0]), np.quantile(gap[1:], [0.025, 0.975]).tolist())


def spread(values: list[float]) -> Spread:
    """Of one value per seed; a single one deviates by 0."""
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return Spread(float(np.mean(values)), deviation)
