"""How good and how calibrated: metrics of predictions against labels, for all who measure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, f1_score, precision_recall_fscore_support

from covla.arrays import Array

BINS = 15  # of confidence (Guo et al. 2017)
FAILED = -1  # the y_pred of a post without a prediction


def macro_f1(y_true: Sequence[Any] | Array, y_pred: Sequence[Any] | Array) -> float:
    """Mean F1 over the labels that occur in `y_true` or `y_pred`, n label indices or names each.

    A label that is in neither is no evidence. FAILED is no label: such a post is missed
    by its own.
    """
    labels = [label for label in np.union1d(y_true, y_pred) if label != FAILED]
    return float(f1_score(y_true, y_pred, labels=labels, average="macro", zero_division=0))


@dataclass(frozen=True)
class Interval:
    """A value and the ends of its 95 % interval."""

    value: float
    low: float
    high: float


def proportion(hits: int, n: int) -> Interval:
    """The proportion of `hits` in n > 0, with Wilson's interval (Wilson 1927)."""
    found = binomtest(hits, n).proportion_ci(method="wilson")
    return Interval(hits / n, float(found.low), float(found.high))


@dataclass(frozen=True)
class CalibrationBin:
    """Posts whose confidence lies in one bin: fraction of all, mean confidence and accuracy."""

    fraction: float
    confidence: float
    accuracy: float


def calibration_bins(probabilities: Array, y_true: Array) -> list[CalibrationBin]:
    """The bins of equal width that hold a post; probabilities n x C, y_true n indices."""
    confidence = probabilities.max(1)
    correct = probabilities.argmax(1) == y_true
    which = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return [
        CalibrationBin(
            float((which == i).mean()),
            float(confidence[which == i].mean()),
            float(correct[which == i].mean()),
        )
        for i in np.unique(which)
    ]


def ece(probabilities: Array, y_true: Array) -> float:
    """Expected calibration error (Guo et al. 2017); probabilities n x C, y_true n indices."""
    bins = calibration_bins(probabilities, y_true)
    return sum(one.fraction * abs(one.confidence - one.accuracy) for one in bins)


@dataclass(frozen=True)
class LabelScores:
    """Of one label; n posts have it."""

    f1: float
    precision: float
    recall: float
    n: int


@dataclass(frozen=True)
class PairTypeScores:
    """Of the n posts of one kind of pair."""

    accuracy: float
    n: int


@dataclass(frozen=True)
class Scores:
    """Of n posts, as JSON results have them; per_label has the labels that occur."""

    accuracy: float
    macro_f1: float
    weighted_f1: float
    ece: float
    per_label: dict[str, LabelScores]
    per_pair_type: dict[str, PairTypeScores]
    n: int


def scores(
    probabilities: Array,
    y_true: Array,
    names: Sequence[str],
    pair_types: Sequence[str | None] | None = None,
) -> Scores:
    """How well `probabilities` fit `y_true`.

    Args:
        probabilities: n x C.
        y_true: n indices.
        names: C label names.
        pair_types: n, for accuracy by kind; None where a post has none.
    """
    y_pred = probabilities.argmax(1)
    occur = np.union1d(y_true, y_pred)
    columns = precision_recall_fscore_support(y_true, y_pred, labels=occur, zero_division=0)
    kinds = np.array([kind or "" for kind in pair_types or [""] * len(y_true)])
    return Scores(
        accuracy=float(accuracy_score(y_true, y_pred)),
        macro_f1=macro_f1(y_true, y_pred),
        weighted_f1=float(f1_score(y_true, y_pred, average="weighted", zero_division=0)),
        ece=ece(probabilities, y_true),
        per_label={
            names[label]: LabelScores(float(f1), float(precision), float(recall), int(n))
            for label, precision, recall, f1, n in zip(occur, *columns, strict=True)
        },
        per_pair_type={
            kind: PairTypeScores(
                float((y_pred == y_true)[kinds == kind].mean()), int((kinds == kind).sum())
            )
            for kind in sorted(set(kinds.tolist()) - {""})
        },
        n=len(y_true),
    )
