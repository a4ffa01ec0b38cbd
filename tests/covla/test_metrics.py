import numpy as np
import pytest
from sklearn.metrics import f1_score

from covla.metrics import FAILED, calibration_bins, ece, macro_f1, scores


def test_scores_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 200)
    probabilities = rng.dirichlet(np.ones(4), 200) + 0.5 * np.eye(4)[labels]
    probabilities /= probabilities.sum(1, keepdims=True)
    found = scores(probabilities, labels, list("abcd"), ["x"] * 100 + ["y"] * 100)
    y_pred = probabilities.argmax(1)
    assert found.accuracy == pytest.approx((y_pred == labels).mean())
    assert found.macro_f1 == pytest.approx(f1_score(labels, y_pred, average="macro"))
    assert found.weighted_f1 == pytest.approx(f1_score(labels, y_pred, average="weighted"))
    assert found.per_pair_type["x"].n == 100
    halves = [found.per_pair_type[kind].accuracy for kind in "xy"]
    assert np.mean(halves) == pytest.approx(found.accuracy)


def test_ece_of_certain_answers_is_their_error_rate() -> None:
    probabilities = np.array([[1.0, 0.0]] * 4)
    assert ece(probabilities, np.array([0, 0, 0, 1])) == pytest.approx(0.25)
    assert ece(probabilities, np.array([0, 0, 0, 0])) == 0


def test_macro_f1_is_over_labels_that_occur_and_a_failed_post_is_missed() -> None:
    assert macro_f1([0, 1, 2], [0, 1, 2]) == 1.0
    assert macro_f1([0, 1, 2], [0, 1, FAILED]) == pytest.approx(2 / 3)
    # 3 occurs as a prediction only.
    assert macro_f1([0, 1, 2], [0, 1, 3]) == pytest.approx(2 / 4)
    assert macro_f1(["home", "shop"], ["home", "shop"]) == 1.0


def test_every_post_is_in_one_calibration_bin() -> None:
    rng = np.random.default_rng(1)
    probabilities = rng.dirichlet(np.ones(3), 500)
    bins = calibration_bins(probabilities, rng.integers(0, 3, 500))
    assert sum(one.fraction for one in bins) == pytest.approx(1)
    assert all(one.confidence >= 1 / 3 for one in bins)
