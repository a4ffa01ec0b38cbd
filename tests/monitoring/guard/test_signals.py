import numpy as np
import pytest

from monitoring.guard.comparison import Answers, Comparison
from monitoring.guard.signals import Signal, signals

LABELS = ("home", "restaurant_cafe", "shop", "beach")
EVEN = dict.fromkeys(LABELS, 0.25)


def answers(
    labels: list[str | None], *, confidence: float = 0.9, weight: float = 0.5, ms: float = 10
) -> Answers:
    rng = np.random.default_rng(0)
    spread = rng.uniform(-0.05, 0.05, len(labels))
    failed = np.array([label is None for label in labels])
    return Answers(
        "7",
        labels,
        np.where(failed, np.nan, confidence + spread),
        np.where(failed, np.nan, weight + spread),
        ms,
    )


def drawn(n: int, accuracy: float, seed: int) -> tuple[list[str], list[str]]:
    """Labels, and predictions of which so many are right."""
    rng = np.random.default_rng(seed)
    y_true = rng.integers(0, 4, n)
    y_pred = np.where(rng.random(n) < accuracy, y_true, (y_true + 1) % 4)
    return [LABELS[i] for i in y_true], [LABELS[i] for i in y_pred]


def breaches(found: list[Signal]) -> set[str]:
    return {one.name for one in found if one.breach}


def test_with_labels_accuracy_decides_and_confidence_has_no_say() -> None:
    y_true, good = drawn(200, 0.85, 0)
    _, bad = drawn(200, 0.85, 1)  # right on other posts: about a quarter of these
    pair = Comparison(list(y_true), answers(list(bad), confidence=0.99), answers(list(good)))
    assert breaches(signals(pair, EVEN)) == {"accuracy"}
    better = Comparison(list(y_true), answers(list(good), confidence=0.4), answers(list(bad)))
    assert breaches(signals(better, EVEN)) == set()


@pytest.mark.parametrize("labelled", [0, 29])
def test_without_enough_labels_the_version_is_measured_by_what_it_says(labelled: int) -> None:
    truth, good = drawn(200, 0.85, 0)
    y_true = [*truth[:labelled], *[None] * (200 - labelled)]
    same = answers(list(good))
    assert breaches(signals(Comparison(y_true, same, same), EVEN)) == set()
    unsure = Comparison(y_true, answers(list(good), confidence=0.6), same)
    assert breaches(signals(unsure, EVEN)) == {"confidence"}
    one_label = Comparison(y_true, answers(["home"] * 200), same)
    assert breaches(signals(one_label, EVEN)) == {"labels"}
    blind = Comparison(y_true, answers(list(good), weight=0.93), same)
    assert breaches(signals(blind, EVEN)) == {"text weight"}


def test_a_stream_whose_labels_change_is_no_fault_of_the_new_version() -> None:
    shops = ["shop"] * 200
    pair = Comparison([None] * 200, answers([*shops]), answers([*shops]))
    assert breaches(signals(pair, EVEN)) == set()


def test_errors_and_latency_always_count() -> None:
    y_true, good = drawn(200, 0.85, 0)
    fails: list[str | None] = [None if i % 10 == 0 else label for i, label in enumerate(good)]
    for known in ([None] * 200, list(y_true)):
        pair = Comparison(known, answers(fails, ms=30), answers(list(good), ms=10))
        assert {"errors", "latency"} <= breaches(signals(pair, EVEN))


def test_an_equal_version_is_left_alone_however_often_it_is_looked_at() -> None:
    """Two versions of 85 % that err independently: 48 looks at growing samples, 40 times."""
    taken_back = 0
    for seed in range(40):
        y_true, new = drawn(480, 0.85, 2 * seed)
        rng = np.random.default_rng(seed)
        previous = [
            label if rng.random() < 0.85 else LABELS[(LABELS.index(label) + 1) % 4]
            for label in y_true
        ]
        looks = (
            signals(
                Comparison(list(y_true[:n]), answers(list(new[:n])), answers(previous[:n])), EVEN
            )
            for n in range(40, 481, 10)
        )
        taken_back += any(breaches(found) for found in looks)
    assert taken_back <= 1


def test_a_version_that_is_fifteen_points_worse_is_found() -> None:
    found = 0
    for seed in range(40):
        y_true, new = drawn(300, 0.70, 2 * seed)
        rng = np.random.default_rng(seed)
        previous = [
            label if rng.random() < 0.85 else LABELS[(LABELS.index(label) + 1) % 4]
            for label in y_true
        ]
        pair = Comparison(list(y_true), answers(list(new)), answers(previous))
        found += "accuracy" in breaches(signals(pair, EVEN))
    assert found >= 34
