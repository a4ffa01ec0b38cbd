import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

from covla.metrics import ece, fit_temperature, scores


def test_scores_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 200)
    probabilities = rng.dirichlet(np.ones(4), 200) + 0.5 * np.eye(4)[labels]
    probabilities /= probabilities.sum(1, keepdims=True)
    found = scores(probabilities, labels, list("abcd"), ["x"] * 100 + ["y"] * 100)
    said = probabilities.argmax(1)
    assert found["accuracy"] == pytest.approx((said == labels).mean())
    assert found["macro_f1"] == pytest.approx(f1_score(labels, said, average="macro"))
    assert found["weighted_f1"] == pytest.approx(f1_score(labels, said, average="weighted"))
    assert found["per_pair_type"]["x"]["n"] == 100
    halves = [found["per_pair_type"][kind]["accuracy"] for kind in "xy"]
    assert np.mean(halves) == pytest.approx(found["accuracy"])


def test_ece_of_certain_answers_is_their_error_rate() -> None:
    probabilities = np.array([[1.0, 0.0]] * 4)
    assert ece(probabilities, np.array([0, 0, 0, 1])) == pytest.approx(0.25)
    assert ece(probabilities, np.array([0, 0, 0, 0])) == 0


def test_the_temperature_that_scaled_the_logits_is_found_again() -> None:
    torch.manual_seed(0)
    true = torch.randn(4000, 3) * 2
    labels = torch.distributions.Categorical(logits=true).sample()
    assert fit_temperature(true * 2, labels) == pytest.approx(2.0, rel=0.1)
