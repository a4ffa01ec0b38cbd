import numpy as np
import pytest
from sklearn.metrics import f1_score

from monitoring.estimate import estimated_accuracy, estimated_macro_f1, sharpened


def drawn(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Calibrated probabilities n x 4, and labels that were drawn from them."""
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet([0.4, 0.3, 0.2, 0.1], n)
    labels = (probabilities.cumsum(1) > rng.random((n, 1))).argmax(1)
    return probabilities, labels


def test_of_calibrated_probabilities_the_estimates_are_the_truth() -> None:
    probabilities, labels = drawn(50_000, 0)
    y_pred = probabilities.argmax(1)
    found = estimated_accuracy(probabilities)
    assert found.value == pytest.approx((y_pred == labels).mean(), abs=0.005)
    assert estimated_macro_f1(probabilities) == pytest.approx(
        f1_score(labels, y_pred, average="macro"), abs=0.005
    )


def test_the_interval_holds_the_accuracy_of_95_in_100_samples() -> None:
    inside = 0
    for seed in range(400):
        probabilities, labels = drawn(100, seed)
        found = estimated_accuracy(probabilities)
        inside += found.low <= (probabilities.argmax(1) == labels).mean() <= found.high
    assert 0.92 <= inside / 400 <= 0.98


def test_a_label_that_is_neither_expected_nor_predicted_has_no_part() -> None:
    probabilities = np.array([[0.99, 0.0, 0.01], [0.98, 0.0, 0.02]])
    assert estimated_macro_f1(probabilities) > 0.95


def test_probabilities_of_another_temperature_are_those_of_its_logits() -> None:
    logits = np.random.default_rng(0).normal(size=(50, 4)) * 3
    two, one = (np.exp(logits / t) / np.exp(logits / t).sum(1, keepdims=True) for t in (2.0, 1.0))
    assert sharpened(one, 0.5) == pytest.approx(two)
    assert sharpened(one, 1.0) == pytest.approx(one)
    assert np.isfinite(sharpened(np.array([[1.0, 0.0]]), 0.25)).all()
