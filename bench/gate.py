"""How often the promotion gate lets an equal challenger in, and how often it refuses a worse one.

Drawn models of 11 labels, right on 80 % of clean posts and on less under noise. Champion and
challenger differ on 8 % of clean posts and up to 11 % under noise, as two trainings do. `let_in`
is a share of `rounds` pairs, per number of posts: of a challenger that is as good, 3 points
better, 2 or 5 points worse everywhere, and 30 points worse on one label alone. `simple` is the
same for a gate that compares macro-F1 alone, without a bound: the reference.
"""

import json
import os
from typing import Any

import numpy as np
from scipy.stats import norm

from bench import arguments
from covla.arrays import Array
from covla.evaluation.gate_checks import against
from covla.evaluation.gate_rules import Rules
from covla.evaluation.gate_scores import CONDITIONS, Measured
from covla.metrics import macro_f1

SIZES = (100, 300, 1000)
LABELS = [f"label {i}" for i in range(11)]
ACCURACY = 0.8
LOST = {"10%": 0.02, "20%": 0.04, "30%": 0.07, "50%": 0.13}  # to noise, by level
COMMON = 0.93  # of what makes a post hard, the share that two trainings have in common
CHALLENGERS = {
    "equal": (0.0, 0.0),
    "3 points better": (-0.03, 0.0),
    "2 points worse": (0.02, 0.0),
    "5 points worse": (0.05, 0.0),
    "one label 30 points worse": (0.0, 0.3),
}


def draw(n: int, worse: tuple[float, float], rng: np.random.Generator) -> list[Any]:
    """Labels of n posts, and what a challenger and a champion predict for them.

    A post is missed where its difficulty, a standard normal number, is above what the model
    masters; the difficulty has a part of the post, of the noise, of the model and of both.
    """
    y_true = rng.integers(0, len(LABELS), n)
    of_posts, of_noise = rng.standard_normal(n), rng.standard_normal((len(CONDITIONS), n))
    found: list[Any] = [y_true]
    for everywhere, one_label in (worse, (0.0, 0.0)):
        own = rng.standard_normal(n)
        model = Measured(latency_ms=5.0, size_mb=6.0)
        for condition, noise in zip(CONDITIONS, of_noise, strict=True):
            accuracy = np.full(n, ACCURACY - everywhere - LOST.get(condition.split(" ")[-1], 0))
            accuracy[y_true == 0] -= one_label
            mine = _mix(0.8, own, rng.standard_normal(n))
            difficulty = _mix(COMMON, _mix(0.8, of_posts, noise), mine)
            right = difficulty < norm.ppf(accuracy)
            wrong = (y_true + rng.integers(1, len(LABELS), n)) % len(LABELS)
            y_pred = np.where(right, y_true, wrong)
            model.predicted[condition] = y_pred.tolist()
            if condition == "clean":
                model.probabilities = _calibrated(y_pred, difficulty, accuracy, rng).tolist()
        found.append(model)
    return found


def _mix(share: float, one: Array, other: Array) -> Array:
    mixed: Array = share**0.5 * one + (1 - share) ** 0.5 * other
    return mixed


def _calibrated(
    y_pred: Array, difficulty: Array, accuracy: Array, rng: np.random.Generator
) -> Array:
    """Probabilities of a model that sees a part of each post's difficulty, n x C."""
    seen = _mix(0.6, difficulty, rng.standard_normal(len(y_pred)))
    sure = norm.cdf((norm.ppf(accuracy) - 0.6**0.5 * seen) / 0.4**0.5)
    sure = np.clip(sure, 1 / len(LABELS) + 0.01, 0.999)
    rows: Array = np.repeat((1 - sure)[:, None] / (len(LABELS) - 1), len(LABELS), axis=1)
    rows[np.arange(len(y_pred)), y_pred] = sure
    return rows


def rates(n: int, worse: tuple[float, float], rounds: int, rules: Rules) -> tuple[float, float]:
    """The share that the gate lets in, and that a comparison of macro-F1 would."""
    rng = np.random.default_rng(n)
    let_in = simple = 0
    for _ in range(rounds):
        y_true, new, old = draw(n, worse, rng)
        let_in += all(check.passed for check in against(new, old, y_true, LABELS, rules))
        f1 = [macro_f1(y_true, model.predicted["clean"]) for model in (new, old)]
        simple += f1[0] >= f1[1]
    return let_in / rounds, simple / rounds


def main() -> None:
    options = arguments(__doc__ or "", rounds=200)
    let_in: dict[str, Any] = {}
    simple: dict[str, Any] = {}
    for name, worse in CHALLENGERS.items():
        found = {n: rates(n, worse, options.rounds, Rules()) for n in SIZES}
        let_in[name] = {n: round(pair[0], 3) for n, pair in found.items()}
        simple[name] = {n: round(pair[1], 3) for n, pair in found.items()}
        if not options.json:
            print(f"{name}: let in {let_in[name]}, by macro-F1 alone {simple[name]}")
    bad = "2 points worse"
    ratios = [let_in[bad][n] / max(simple[bad][n], 1e-9) for n in SIZES]
    row = {
        "benchmark": "gate",
        "ours": let_in[bad][300],
        "reference": simple[bad][300],
        "ratio": round(ratios[1], 4),
        "spread": [round(min(ratios), 4), round(max(ratios), 4)],
        "unit": "share of challengers 2 points worse that are let in, 300 posts",
        "cores": len(os.sched_getaffinity(0)),
        "let_in": let_in,
        "simple": simple,
        "notes": f"{options.rounds} drawn pairs each; reference: macro-F1 not lower, no bound",
    }
    print(json.dumps(row))


if __name__ == "__main__":
    main()
