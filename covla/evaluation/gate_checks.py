"""The checks of the promotion gate: floors for a model alone, and a challenger against a champion.

One rule compares. In resamples of the same posts (covla/evaluation/bootstrap.py) the gain of the
challenger over the champion has a one-sided 95 % bound, which is held against a margin:

- On clean posts it has to be shown that the challenger is not worse by the margin
  (non-inferiority): one that is gets in with a probability of at most 5 %, by any other question
  less often.
- At each noise level, for each label and in calibration it must not be shown to be worse by more
  than the margin. There are too many of these questions, and too few posts in some, to ask for
  more: a challenger as good as the champion would hardly ever be let in. A larger loss on these
  posts is refused even where they are too few to show anything.
"""

from collections.abc import Iterable

import numpy as np

from covla.arrays import Array
from covla.evaluation.bootstrap import Bootstrap
from covla.evaluation.gate_rules import Check, Rules
from covla.evaluation.gate_scores import CONDITIONS, Measured, calibration_error


def floors(new: Measured, y_true: Array, labels: list[str], rules: Rules) -> list[Check]:
    """What any version must reach, with or without a champion; y_true is n label indices."""
    n = len(y_true)
    majority = float(np.bincount(y_true).max() / n)
    noise = 1.645 * (majority * (1 - majority) / n) ** 0.5
    slack = 0.5 / n**0.5  # what ECE shows on few posts even for a calibrated model
    correct = np.array(new.predicted["clean"]) == y_true
    checks = [
        _least(
            "floor: accuracy", float(correct.mean()), majority + rules.over_majority + noise,
            f"always answering the commonest label gives {majority:.4f}",
        ),
        _most(
            "floor: calibration error", calibration_error(new.probabilities, y_true), None,
            rules.ece + slack, f"ECE over {n} posts",
        ),
        _most("floor: ms per post", new.latency_ms, None, rules.latency_ms, "best of three runs"),
    ]  # fmt: skip
    for index, name in enumerate(labels):
        own = correct[y_true == index]
        if len(own) >= rules.label_posts:
            recall = float(own.mean())
            why = f"of {len(own)} posts"
            checks.append(_least(f"floor: recall of {name}", recall, rules.label_recall, why))
    return checks


def against(
    new: Measured, old: Measured, y_true: Array, labels: list[str], rules: Rules
) -> list[Check]:
    """The challenger and the champion on the same n posts; y_true is n label indices."""
    bootstrap = Bootstrap(y_true, len(labels), samples=rules.resamples)
    models = (new, old)
    clean = [np.array(model.predicted["clean"]) for model in models]
    f1 = _pair(bootstrap.macro_f1(y_pred[None]) for y_pred in clean)
    accuracy = _pair(bootstrap.accuracy(y_pred[None]) for y_pred in clean)
    checks = [
        _not_worse("macro-F1", f1, rules.clean, rules.confidence),
        _not_worse("accuracy", accuracy, rules.clean, rules.confidence),
    ]
    for condition in CONDITIONS[1:]:
        pair = _pair(bootstrap.accuracy(np.array([m.predicted[condition]])) for m in models)
        name = f"accuracy, noise in {condition}"
        checks.append(_not_shown_worse(name, pair, rules.noise, rules.confidence))
    for index, label in enumerate(labels):
        if (y_true == index).sum() >= rules.label_posts:
            pair = _pair(bootstrap.recall(y_pred, index) for y_pred in clean)
            name = f"recall of {label}"
            checks.append(_not_shown_worse(name, pair, rules.label, rules.confidence))
    # More is better, as everywhere else.
    pair = _pair(1 - _ece(bootstrap, model, y_true) for model in models)
    checks.append(_not_shown_worse("1 - ECE", pair, rules.calibration, rules.confidence))
    limit, why = old.latency_ms * rules.latency, f"{rules.latency:g} times the champion's"
    checks.append(_most("ms per post", new.latency_ms, old.latency_ms, limit, why))
    smallest = rules.size_bytes / 2**20
    limit, why = max(old.size_mb * rules.size, smallest), f"{rules.size:g} times the champion's"
    checks.append(_most("MiB of files", new.size_mb, old.size_mb, limit, f"{why}, or {smallest:g}"))
    return checks


Pair = tuple[Array, Array]  # challenger and champion, 1 + R values each


def _pair(values: Iterable[Array]) -> Pair:
    new, old = values
    return new, old


def _ece(bootstrap: Bootstrap, model: Measured, y_true: Array) -> Array:
    """Posts that failed (no probabilities) are left out, as `calibration_error` does."""
    confidence = np.array([max(row, default=0.0) for row in model.probabilities])
    usable = np.array([bool(row) for row in model.probabilities])
    return bootstrap.ece(confidence, np.array(model.predicted["clean"]) == y_true, usable)


def _not_worse(name: str, pair: Pair, margin: float, confidence: float) -> Check:
    """The posts have to show that the challenger is not worse by `margin`."""
    bound = _quantile(pair, 1 - confidence)
    limit = 0 - margin
    held = f"a gain of at least {bound:+.4f}; must be above {limit:+.4f}"
    return _compared(name, bound > limit, pair, bound, limit, held)


def _not_shown_worse(
    name: str, pair: Pair, margins: tuple[float, float], confidence: float
) -> Check:
    """The posts must not show that the challenger is worse by more than the first margin, and it
    must not be worse on them by more than the second."""
    limit, least = (0 - margin for margin in margins)
    bound, gain = _quantile(pair, confidence), _gain(pair)
    held = f"a gain of {gain:+.4f}, at most {bound:+.4f}; allowed are {least:+.4f} and {limit:+.4f}"
    return _compared(name, bound >= limit and gain >= least, pair, bound, limit, held)


def _quantile(pair: Pair, level: float) -> float:
    """Of the gain over the R resamples; rounded to what does not depend on the machine."""
    gain = pair[0][1:] - pair[1][1:]
    return round(float(np.quantile(gain, level, method="inverted_cdf")), 6)


def _gain(pair: Pair) -> float:
    """On the posts themselves."""
    return round(float(pair[0][0] - pair[1][0]), 6)


def _compared(name: str, passed: bool, pair: Pair, bound: float, limit: float, held: str) -> Check:
    new, old = (round(float(values[0]), 6) for values in pair)
    reason = f"{name}: {new:.4f} against the champion's {old:.4f}, {held}"
    return Check(name, passed, new, old, limit, reason, _gain(pair), bound)


def _least(name: str, new: float, limit: float, why: str) -> Check:
    reason = f"{name}: {new:.4f}, at least {limit:.4f} ({why})"
    return Check(name, new >= limit - 1e-9, round(new, 6), None, round(limit, 6), reason)


def _most(name: str, new: float, old: float | None, limit: float, why: str) -> Check:
    reason = f"{name}: {new:.4f}, at most {limit:.4f} ({why})"
    champion = None if old is None else round(old, 6)
    return Check(name, new <= limit + 1e-9, round(new, 6), champion, round(limit, 6), reason)
