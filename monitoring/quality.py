"""Outliers: how many posts of a time range lie outside what the training posts looked like."""

from dataclasses import dataclass

import pandas as pd

from monitoring.columns import Comparison
from monitoring.sides import MEASURES

LOW, HIGH = 0.01, 0.99  # quantiles of the reference


@dataclass(frozen=True)
class NoiseRow:
    """One measure of `covla.posts.quality` (which gives its unit)."""

    measure: str
    low: float
    high: float
    reference_share: float  # of posts with the modality, outside [low, high]
    window_share: float


def noise(comparison: Comparison) -> list[NoiseRow]:
    """A row per quality measure that could be compared, worst first.

    For a person who looks for the cause; the decision comes from the tests.
    """
    rows = []
    tested = {name for names in comparison.columns.values() for name in names}
    for name in (name for names in MEASURES.values() for name in names if name in tested):
        reference, current = comparison.reference[name].dropna(), comparison.current[name].dropna()
        low, high = float(reference.quantile(LOW)), float(reference.quantile(HIGH))
        fractions = (_outside(reference, low, high), _outside(current, low, high))
        rows.append(NoiseRow(name, low, high, *fractions))
    return sorted(rows, key=lambda row: (-row.window_share, row.measure))


def _outside(values: "pd.Series[float]", low: float, high: float) -> float:
    return round(float(((values < low) | (values > high)).mean()), 4)
