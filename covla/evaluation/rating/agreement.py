"""Agreement between raters, nominal labels."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import krippendorff
import numpy as np
from numpy.typing import NDArray

Labels = Mapping[str, str | None]  # item -> label, None for no label
Matrix = NDArray[np.float64]  # raters x items, the label's index, NaN for no label

RESAMPLES = 1000


@dataclass(frozen=True)
class LabelAgreement:
    """Of one label: how often it was given, the specific agreement (of the pairs of answers to one
    post of which one is the label, the share whose other is it too, Cicchetti and Feinstein 1990),
    and alpha of "this label or another"."""

    answers: int
    agreement: float | None
    alpha: float | None


def matrix(answers: Sequence[Labels], items: Sequence[str], labels: Sequence[str]) -> Matrix:
    """Answers as numbers; `None` is missing, as Krippendorff treats what was not coded."""
    index: dict[str | None, float] = {name: float(i) for i, name in enumerate(labels)}
    index[None] = np.nan
    return np.array([[index[one[item]] for item in items] for one in answers])


def alpha(data: Matrix) -> float | None:
    """Krippendorff's alpha, nominal (Krippendorff 2011, Computing Krippendorff's
    Alpha-Reliability): 1 for perfect agreement, 0 for that of chance, below 0 for worse.

    None where it is not defined: no item has two answers, or all of those are the same label.
    """
    pairable = data[:, (~np.isnan(data)).sum(0) >= 2]
    if len(np.unique(pairable[~np.isnan(pairable)])) < 2:
        return None
    return float(krippendorff.alpha(reliability_data=pairable, level_of_measurement="nominal"))


def alpha_interval(data: Matrix, seed: int = 0) -> tuple[float, float] | None:
    """95 % percentile bootstrap over items; None where alpha is not defined."""
    if alpha(data) is None:
        return None
    rng = np.random.default_rng(seed)
    draws = (rng.integers(data.shape[1], size=data.shape[1]) for _ in range(RESAMPLES))
    values = [value for draw in draws if (value := alpha(data[:, draw])) is not None]
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def per_label(data: Matrix, labels: Sequence[str]) -> dict[str, LabelAgreement]:
    """Each label by name."""
    answers = (~np.isnan(data)).sum(0)
    found = {}
    for i, label in enumerate(labels):
        same = (data == i).sum(0)
        pairs = float((same * (answers - 1)).sum())
        both = float((same * (same - 1)).sum())
        binary = np.where(np.isnan(data), np.nan, data == i)
        agreement = both / pairs if pairs else None
        found[label] = LabelAgreement(int(same.sum()), agreement, alpha(binary))
    return found


def majority(answers: Sequence[Labels], items: Sequence[str]) -> dict[str, str]:
    """The label that most raters gave an item; an item with a tie or without a label has none."""
    found: dict[str, str] = {}
    for item in items:
        counts = Counter(label for one in answers if (label := one[item]) is not None).most_common()
        if counts and (len(counts) == 1 or counts[0][1] > counts[1][1]):
            found[item] = counts[0][0]
    return found


def share_equal(first: Labels, second: Labels) -> float | None:
    """Of the items that both label, the share with the same label."""
    same = [
        label == second[item]
        for item, label in first.items()
        if label is not None and second.get(item) is not None
    ]
    return sum(same) / len(same) if same else None


def mean_between(answers: Sequence[Labels]) -> float | None:
    """Mean of `share_equal` over all pairs of raters."""
    return mean([share_equal(a, b) for a, b in combinations(answers, 2)])


def mean(values: Sequence[float | None]) -> float | None:
    """Mean of those that are defined."""
    defined = [value for value in values if value is not None]
    return sum(defined) / len(defined) if defined else None
