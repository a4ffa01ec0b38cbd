"""How good and how calibrated: metrics of probabilities against labels."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

Array = np.ndarray[Any, Any]


def ece(probabilities: Array, labels: Array, *, bins: int = 15) -> float:
    """Expected calibration error over equal-width bins of confidence (Guo et al. 2017)."""
    confidence = probabilities.max(1)
    right = probabilities.argmax(1) == labels
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    total = 0.0
    for i in range(bins):
        inside = which == i
        if inside.any():
            total += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    return float(total)


def scores(
    probabilities: Array,
    labels: Array,
    names: Sequence[str],
    pair_types: Sequence[str | None] | None = None,
) -> dict[str, Any]:
    """accuracy, macro_f1, weighted_f1, ece, per_label, per_pair_type and n.

    F1 averages run over the labels that occur, as truth or as an answer: a label without any post
    says nothing of the model.

    Args:
        probabilities: n x C.
        labels: n indices.
        names: C label names.
        pair_types: n, for accuracy apart; None where a post has none.
    """
    guess = probabilities.argmax(1)
    right = guess == labels
    per_label, f1s, counts = {}, [], []
    for i, name in enumerate(names):
        truth, said = labels == i, guess == i
        if not truth.any() and not said.any():
            continue
        hits = float((truth & said).sum())
        f1 = 2 * hits / float(truth.sum() + said.sum())
        f1s.append(f1)
        counts.append(int(truth.sum()))
        per_label[name] = {
            "f1": f1,
            "precision": hits / max(int(said.sum()), 1),
            "recall": hits / max(int(truth.sum()), 1),
            "n": int(truth.sum()),
        }
    kinds = np.array([kind or "" for kind in pair_types or [""] * len(labels)])
    return {
        "accuracy": float(right.mean()),
        "macro_f1": float(np.mean(f1s)),
        "weighted_f1": float(np.average(f1s, weights=counts)),
        "ece": ece(probabilities, labels),
        "per_label": per_label,
        "per_pair_type": {
            kind: {"accuracy": float(right[kinds == kind].mean()), "n": int((kinds == kind).sum())}
            for kind in sorted(set(kinds.tolist()) - {""})
        },
        "n": len(labels),
    }


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature in 0.25..4 that minimises cross-entropy on held-out posts (Guo et al. 2017).

    A grid in log space: exact enough, and the same on every machine.
    """
    grid = torch.logspace(-2, 2, 81, base=2.0, dtype=torch.float64)
    losses = torch.stack(
        [torch.nn.functional.cross_entropy(logits.double() / tau, labels) for tau in grid]
    )
    return float(grid[losses.argmin()])
