"""Performance without labels, from calibrated probabilities: confidence-based performance
estimation (CBPE; J. Bialek, W. Kuberski, N. Perrakis, A. Bifet 2024, arXiv:2407.08649)."""

import numpy as np

from covla.arrays import FloatArray
from covla.metrics import Interval


def sharpened(probabilities: FloatArray, sharpness: float) -> FloatArray:
    """n x C probabilities as they would be at another temperature. `sharpness` is that of the
    version's metrics: fitted on noisy posts too, while the temperature that serves is fitted on
    clean ones and promises too much under noise (ADR 27)."""
    powers = np.maximum(probabilities, 1e-12) ** sharpness
    shares: FloatArray = powers / powers.sum(1, keepdims=True)
    return shares


def estimated_accuracy(probabilities: FloatArray) -> Interval:
    """The accuracy to expect of n x C calibrated probabilities, and where that of n posts lies in
    95 of 100 cases."""
    confidence = probabilities.max(1)
    deviation = float(np.sqrt((confidence * (1 - confidence)).sum()) / len(confidence))
    mean = float(confidence.mean())
    return Interval(mean, max(0.0, mean - 1.96 * deviation), min(1.0, mean + 1.96 * deviation))


def estimated_macro_f1(probabilities: FloatArray) -> float:
    """The macro-F1 to expect, from the expected confusion matrix; over labels of which at least
    half a post is expected or predicted."""
    predicted = np.eye(probabilities.shape[1])[probabilities.argmax(1)]
    hits = (predicted * probabilities).sum(0)
    sizes = predicted.sum(0) + probabilities.sum(0)
    occur = (predicted.sum(0) > 0) | (probabilities.sum(0) >= 0.5)
    return float((2 * hits[occur] / sizes[occur]).mean())
