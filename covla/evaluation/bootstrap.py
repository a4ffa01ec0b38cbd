"""Paired bootstrap over posts (Efron and Tibshirani 1993): a metric in resamples of one set."""

from functools import lru_cache

import numpy as np

from covla.arrays import Array
from covla.metrics import BINS, FAILED


@lru_cache(maxsize=1)
def _weights(n: int, samples: int, seed: int) -> Array:
    """How often each post is drawn, 1 + R x n. The first row is the sample itself."""
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=samples)
    weights = np.vstack([np.ones((1, n)), drawn]).astype(np.float32)
    weights.flags.writeable = False
    return weights


class Bootstrap:
    """The same resamples of the evaluated posts for every model, so that any two are paired.

    Each metric is 1 + R numbers: the first is that of the posts themselves. Counts of posts are
    whole numbers, so they do not depend on the machine.

    Args:
        y_true: n label indices.
        classes: C.
        samples: how many resamples, R.
    """

    def __init__(self, y_true: Array, classes: int, *, samples: int = 4000, seed: int = 0) -> None:
        self.y_true, self.classes = y_true, classes
        self.weights = _weights(len(y_true), samples, seed)

    def _hot(self, indices: Array) -> Array:
        hot: Array = np.eye(self.classes, dtype=np.float32)[indices]
        hot[indices == FAILED] = 0
        return hot

    def accuracy(self, y_pred: Array) -> Array:
        """Predicted labels of S seeds, S x n, to the mean accuracy over seeds in each resample."""
        correct = (y_pred == self.y_true).mean(0)
        fractions: Array = self.weights @ correct / len(self.y_true)
        return fractions

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

    def recall(self, y_pred: Array, label: int) -> Array:
        """Recall of one label, of n predicted labels. Resamples draw among its own posts as often
        as they draw them; one without any has recall 0 for every model."""
        own = self.y_true == label
        drawn = self.weights[:, own]
        recall: Array = drawn @ (y_pred[own] == label) / np.maximum(drawn.sum(1), 1)
        return recall

    def ece(self, confidence: Array, correct: Array, usable: Array) -> Array:
        """Expected calibration error as `covla.metrics.ece` has it.

        Args:
            confidence: n, of the predicted label, in 0..1.
            correct: n, whether it is the true one.
            usable: n, false for posts that are left out.
        """
        which = np.minimum((confidence * BINS).astype(int), BINS - 1)
        gaps = np.eye(BINS)[which] * ((confidence - correct) * usable)[:, None]
        drawn = np.maximum(self.weights @ usable, 1)
        error: Array = np.abs(self.weights @ gaps).sum(1) / drawn
        return error
