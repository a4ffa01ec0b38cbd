"""What the guard looks at, and which of it takes a version back (ADR 27).

Where labels came, they decide. Where too few did, what the version is like without them: its
confidence, its labels, its text weight. Errors and latency count always. A signal is a breach when
the difference is larger than what is tolerated, beyond chance: the guard looks again and again, so
chance is one in a thousand.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest, norm

from covla.arrays import Array, FloatArray
from monitoring.guard.comparison import Comparison

LABELLED = 30  # labelled posts that accuracy needs
ALPHA = 0.001
Z = float(norm.isf(ALPHA))
ACCURACY, CONFIDENCE, ERRORS = 0.02, 0.05, 0.02  # worse by more than this
TEXT_WEIGHT = 0.35  # mean text weight, moved by more than this
LABEL_SHARES, MORE = 0.35, 0.15  # total variation: of the new version, and beyond the previous one
LATENCY = 2.0  # times the previous version's, as the promotion gate allows


@dataclass(frozen=True)
class Signal:
    """One signal of both versions; `reason` says it in a line."""

    name: str
    breach: bool
    new: float
    previous: float
    posts: int
    reason: str


def signals(pair: Comparison, training_labels: Mapping[str, float]) -> list[Signal]:
    """Every signal that there are posts for.

    Args:
        pair: both versions on the same posts.
        training_labels: label -> its share of what the new version was trained on.
    """
    found = [_errors(pair), _latency(pair)]
    if sum(label is not None for label in pair.y_true) >= LABELLED:
        return [_accuracy(pair), *found]
    return [_confidence(pair), _label_shares(pair, training_labels), _text_weight(pair), *found]


def _worse(new_only: int, previous_only: int) -> float:
    """The exact one-sided p-value (McNemar) of `new_only` faults against `previous_only`."""
    total = new_only + previous_only
    return float(binomtest(new_only, total, alternative="greater").pvalue) if total else 1.0


def _accuracy(pair: Comparison) -> Signal:
    new, previous = (pair.correct(answers) for answers in (pair.new, pair.previous))
    breach, p_value = _more_faults(~new, ~previous, ACCURACY)
    rates = float(new.mean()), float(previous.mean())
    reason = f"right on {rates[0]:.1%} of {len(new)} posts, {rates[1]:.1%} before"
    return Signal("accuracy", breach, *rates, len(new), f"{reason} (p = {p_value:.2g})")


def _errors(pair: Comparison) -> Signal:
    new, previous = pair.new.failed, pair.previous.failed
    breach, p_value = _more_faults(new, previous, ERRORS)
    rates = float(new.mean()), float(previous.mean())
    reason = f"no prediction for {rates[0]:.1%} of {len(new)} posts, {rates[1]:.1%} before"
    return Signal("errors", breach, *rates, len(new), f"{reason} (p = {p_value:.2g})")


def _more_faults(new: Array, previous: Array, tolerated: float) -> tuple[bool, float]:
    """Whether `new` has more faults than tolerated, of n booleans each on the same n posts, and
    the p-value of it."""
    p_value = _worse(int((new & ~previous).sum()), int((previous & ~new).sum()))
    return float(new.mean() - previous.mean()) > tolerated and p_value < ALPHA, p_value


def _latency(pair: Comparison) -> Signal:
    new, previous = pair.new.latency_ms, pair.previous.latency_ms
    reason = f"{new:.1f} ms per post, {previous:.1f} before"
    return Signal("latency", new > LATENCY * previous, new, previous, len(pair.y_true), reason)


def _both(new: FloatArray, previous: FloatArray) -> tuple[FloatArray, FloatArray]:
    known = ~np.isnan(new) & ~np.isnan(previous)
    return new[known], previous[known]


def _confidence(pair: Comparison) -> Signal:
    """Mean confidence: the accuracy that the version itself expects."""
    new, previous = _both(pair.new.confidence, pair.previous.confidence)
    bound = _bound(previous - new)
    means = _mean(new), _mean(previous)
    reason = f"expects {means[0]:.1%} of {len(new)} posts to be right, {means[1]:.1%} before"
    return Signal("confidence", bound > CONFIDENCE, *means, len(new), reason)


def _bound(difference: FloatArray) -> float:
    """The lower bound of the mean; minus infinity of fewer than two."""
    if len(difference) < 2:
        return float("-inf")
    error = float(difference.std(ddof=1)) / math.sqrt(len(difference))
    return _mean(difference) - Z * error


def _mean(values: FloatArray) -> float:
    return float(values.mean()) if len(values) else 0.0


def _label_shares(pair: Comparison, training_labels: Mapping[str, float]) -> Signal:
    """How far its labels lie from those that it was trained on."""
    away = [
        _distance([label for label in answers.y_pred if label is not None], training_labels)
        for answers in (pair.new, pair.previous)
    ]
    breach = away[0] > LABEL_SHARES and away[0] - away[1] > MORE
    posts = int((~pair.new.failed).sum())
    reason = f"{away[0]:.1%} of {posts} labels are other than trained on, {away[1]:.1%} before"
    return Signal("labels", breach, away[0], away[1], posts, reason)


def _distance(labels: list[str], shares: Mapping[str, float]) -> float:
    """Total variation."""
    if not labels:
        return 1.0
    counts = Counter(labels)
    names = counts.keys() | shares.keys()
    return 0.5 * sum(abs(counts[n] / len(labels) - shares.get(n, 0.0)) for n in names)


def _text_weight(pair: Comparison) -> Signal:
    new, previous = _both(pair.new.text_weight, pair.previous.text_weight)
    means = _mean(new), _mean(previous)
    moved = new - previous
    bound = max(_bound(moved), _bound(-moved))
    reason = f"text has {means[0]:.1%} of the weight, {means[1]:.1%} before"
    return Signal("text weight", bound > TEXT_WEIGHT, *means, len(new), reason)
