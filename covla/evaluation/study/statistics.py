"""Differences of a study with their intervals, and spreads over seeds."""

from dataclasses import dataclass

import numpy as np

from covla.arrays import Array


@dataclass(frozen=True)
class Difference:
    """With its 95 % percentile interval; as text `+0.012 [-0.003, +0.027]`."""

    difference: float
    interval: list[float]

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.difference:+.3f} [{low:+.3f}, {high:+.3f}]"


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation (of a sample) over seeds; as text `0.912 ± 0.004`."""

    mean: float
    std: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} ± {self.std:.3f}"


def difference(ours: Array, theirs: Array) -> Difference:
    """Of two results of `Bootstrap`."""
    gap = ours - theirs
    return Difference(float(gap[0]), np.quantile(gap[1:], [0.025, 0.975]).tolist())


def spread(values: list[float]) -> Spread:
    """Of one value per seed; a single one deviates by 0."""
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return Spread(float(np.mean(values)), deviation)
