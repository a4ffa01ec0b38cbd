"""The checks of the gate: what they let through, and what they block."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covla.evaluation.gate_checks import against, floors
from covla.evaluation.gate_rules import Check, Rules
from covla.evaluation.gate_scores import CONDITIONS, Measured

LABELS = ["home", "shop", "beach"]
N = 300
TRUTH = np.arange(N) % 3


def _measured(right: float, *, confidence: float | None = None, seed: int = 0) -> Measured:
    """A model that is right on share `right` of the posts, the same ones in every condition."""
    order = np.random.default_rng(seed).permutation(N)
    wrong = order[round(right * N) :]
    predicted = TRUTH.copy()
    predicted[wrong] = (TRUTH[wrong] + 1) % 3
    sure = right if confidence is None else confidence
    rows = np.full((N, 3), (1 - sure) / 2)
    rows[np.arange(N), predicted] = sure
    return Measured({c: predicted.tolist() for c in CONDITIONS}, rows.tolist(), latency_ms=5.0)


def _failed(checks: list[Check]) -> set[str]:
    return {check.name for check in checks if not check.passed}


def test_a_better_model_passes_and_a_worse_one_is_told_where() -> None:
    better, worse = _measured(0.9), _measured(0.7)
    assert not _failed(against(better, worse, TRUTH, LABELS, Rules()))
    failed = _failed(against(worse, better, TRUTH, LABELS, Rules()))
    assert {"macro-F1", "accuracy", "accuracy, noise in text 10%", "recall of home"} <= failed
    assert "ms per post" not in failed


def test_the_same_model_again_passes() -> None:
    assert not _failed(against(_measured(0.8), _measured(0.8), TRUTH, LABELS, Rules()))


def test_one_post_in_a_hundred_worse_and_none_better_is_enough() -> None:
    champion, challenger = _measured(0.80), _measured(0.80)
    three = [i for i in range(N) if challenger.predicted["clean"][i] == TRUTH[i]][:3]
    for i in three:
        for predicted in challenger.predicted.values():
            predicted[i] = (TRUTH[i] + 1) % 3
    failed = _failed(against(challenger, champion, TRUTH, LABELS, Rules()))
    assert failed >= {"macro-F1", "accuracy"}


def _swapped(share: float, n: int = N, seed: int = 1) -> tuple[Measured, Measured]:
    """Two models that are right equally often; each is right alone on `share` of the posts."""
    models = _measured(0.8), _measured(0.8)
    right = np.flatnonzero(np.array(models[0].predicted["clean"]) == TRUTH)
    drawn = np.random.default_rng(seed).permutation(right)
    count = round(share * n)
    for model, wrong in zip(models, (drawn[:count], drawn[count : 2 * count]), strict=True):
        for predicted in model.predicted.values():
            for i in wrong:
                predicted[i] = (TRUTH[i] + 1) % 3
    return models


def test_equal_scores_are_not_enough_where_the_models_differ_on_many_posts() -> None:
    failed = _failed(against(*_swapped(0.01), TRUTH, LABELS, Rules()))
    assert not failed & {"macro-F1", "accuracy"}
    failed = _failed(against(*_swapped(0.15), TRUTH, LABELS, Rules()))
    assert failed >= {"macro-F1", "accuracy"}


def test_a_bound_says_what_it_is_held_against() -> None:
    checks = against(_measured(0.9), _measured(0.8), TRUTH, LABELS, Rules())
    accuracy = next(check for check in checks if check.name == "accuracy")
    assert accuracy.gain == pytest.approx(0.1)
    assert accuracy.bound is not None
    assert 0.05 < accuracy.bound < 0.1
    assert accuracy.limit == -0.02
    assert accuracy.reason.startswith(
        "accuracy: 0.9000 against the champion's 0.8000, a gain of at"
    )


@settings(max_examples=20)
@given(seed=st.integers(0, 1000), lost=st.integers(18, 60), won=st.integers(0, 12))
def test_a_challenger_that_loses_many_more_posts_than_it_wins_is_never_let_in(
    seed: int, lost: int, won: int
) -> None:
    """At least two points worse on the posts themselves, whichever posts these are."""
    champion, challenger = _measured(0.8), _measured(0.8)
    predicted = challenger.predicted["clean"]
    right = np.array(predicted) == TRUTH
    rng = np.random.default_rng(seed)
    for i in rng.permutation(np.flatnonzero(right))[:lost]:
        predicted[i] = (TRUTH[i] + 1) % 3
    for i in rng.permutation(np.flatnonzero(~right))[:won]:
        predicted[i] = TRUTH[i]
    failed = _failed(against(challenger, champion, TRUTH, LABELS, Rules(resamples=500)))
    assert "accuracy" in failed


def test_one_noise_level_alone_blocks() -> None:
    champion, challenger = _measured(0.8), _measured(0.8)
    challenger.predicted["image 30%"] = _measured(0.6).predicted["clean"]
    failed = _failed(against(challenger, champion, TRUTH, LABELS, Rules()))
    assert failed == {"accuracy, noise in image 30%"}


def test_one_label_alone_blocks() -> None:
    champion, challenger = _measured(0.8), _measured(1.0)
    for predicted in challenger.predicted.values():
        for i in range(N):
            if TRUTH[i] == 2 and i % 2:
                predicted[i] = 0
    assert "recall of beach" in _failed(against(challenger, champion, TRUTH, LABELS, Rules()))


def test_a_large_loss_on_few_posts_blocks_though_they_show_nothing() -> None:
    """Of ten posts of a label four are lost and one is won."""
    y_true = TRUTH.copy()
    y_true[TRUTH == 2] = 0
    y_true[:10] = 2
    champion, challenger = (
        Measured({c: y_true.tolist() for c in CONDITIONS}, latency_ms=5.0) for _ in range(2)
    )
    for model in (champion, challenger):
        model.probabilities = [[]] * N
    champion.predicted["clean"][0] = 0
    for i in range(1, 5):
        challenger.predicted["clean"][i] = 0
    checks = against(challenger, champion, y_true, LABELS, Rules())
    recall = next(check for check in checks if check.name == "recall of beach")
    assert recall.bound is not None
    assert recall.bound >= -0.02
    assert not recall.passed
    assert "a gain of -0.3000" in recall.reason


def test_speed_and_calibration_block() -> None:
    slow = replace(_measured(0.8), latency_ms=11.0)
    assert _failed(against(slow, _measured(0.8), TRUTH, LABELS, Rules())) == {"ms per post"}
    sure = _measured(0.8, confidence=0.99)
    failed = _failed(against(sure, _measured(0.8), TRUTH, LABELS, Rules()))
    assert failed == {"1 - ECE"}


def test_size_blocks_only_a_large_folder() -> None:
    def failed(new: float, old: float) -> set[str]:
        models = (replace(_measured(0.8), size_mb=size) for size in (new, old))
        return _failed(against(*models, TRUTH, LABELS, Rules()))

    assert failed(250, 6) == set()
    assert failed(260, 6) == {"MiB of files"}
    assert failed(590, 200) == set()
    assert failed(610, 200) == {"MiB of files"}


def test_the_first_version_must_beat_the_commonest_label() -> None:
    assert not _failed(floors(_measured(0.6), TRUTH, LABELS, Rules()))
    always = _measured(0.6, confidence=0.35)
    always.predicted["clean"] = [0] * N
    failed = _failed(floors(always, TRUTH, LABELS, Rules()))
    assert {"floor: accuracy", "floor: recall of shop", "floor: recall of beach"} <= failed
    assert "floor: recall of home" not in failed


def test_a_label_with_few_posts_has_no_floor() -> None:
    few = np.zeros(N, int)
    few[:9] = 1
    names = {check.name for check in floors(_measured(0.9), few, LABELS, Rules())}
    assert "floor: recall of home" in names
    assert "floor: recall of shop" not in names
