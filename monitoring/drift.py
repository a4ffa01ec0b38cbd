"""The decision: which modality of a time range differs from what the model was trained on.

Every column is tested by Evidently: Kolmogorov-Smirnov for numbers, homogeneity for categories,
a kernel two-sample test for embeddings. Twenty tests at 5 % each would find drift in most time
ranges, so the family-wise error rate is kept at ALPHA (Bonferroni): each tested modality gets an
equal part of it, the embedding half of its modality's, columns the rest in equal parts.
bench/drift.py measures the rates.
"""

import math
from dataclasses import dataclass

from monitoring.columns import MODALITIES, Comparison
from monitoring.quality import NoiseRow

# One false alarm in a hundred time ranges: hourly ones would otherwise start a training a day.
ALPHA = 0.01


@dataclass(frozen=True)
class ModalityDrift:
    """Whether one modality drifted, and how far."""

    drift: bool
    score: float | None  # -log10 of the corrected p-value; drift at and above -log10(ALPHA)
    p_value: float | None  # smallest of its columns, times the number of tests it competes with
    columns: list[str]  # what drifted of it, strongest first
    tested: int
    skipped: str | None = None  # why it was not tested


@dataclass(frozen=True)
class DriftResult:
    """All modalities, and the one to name."""

    drift: bool
    drift_modality: str | None
    modalities: dict[str, ModalityDrift]


@dataclass(frozen=True)
class DriftReport:
    """One run of the monitor, as its report.json and the JSON result of `covla drift` have it."""

    window: str
    reference: str
    drift: bool
    drift_modality: str | None
    alpha: float
    rows: dict[str, int]  # window and reference
    scores: dict[str, float | None]
    modalities: dict[str, ModalityDrift]
    untested: dict[str, str]  # column or embedding -> why
    noise: list[NoiseRow]
    report: str  # path of the page


def thresholds(comparison: Comparison) -> dict[str, float]:
    """Test -> the p-value under which it finds drift; they add up to at most ALPHA.

    Tests are columns, and `text_embedding` and `image_embedding`.
    """
    by_modality = tests(comparison)
    limits = {}
    for modality, names in by_modality.items():
        level = ALPHA / len(by_modality)
        columns = [name for name in names if not name.endswith("_embedding")]
        if modality in comparison.embeddings:
            level /= 2
            limits[f"{modality}_embedding"] = level
        limits |= {name: level / len(columns) for name in columns}
    return limits


def tests(comparison: Comparison) -> dict[str, list[str]]:
    """Modality -> what is tested of it; a modality without a test is left out."""
    by_modality = {name: list(columns) for name, columns in comparison.columns.items()}
    for modality in comparison.embeddings:
        by_modality[modality].append(f"{modality}_embedding")
    return {name: names for name, names in by_modality.items() if names}


def evaluate(
    comparison: Comparison, p_values: dict[str, float], limits: dict[str, float]
) -> DriftResult:
    """The decision from each test's p-value and its threshold, as `thresholds` gives them.

    A change of either modality moves their agreement too, so agreement is named only when it
    changed alone, as when images are paired with the wrong texts.
    """
    each = {name: _modality(name, comparison, p_values, limits) for name in MODALITIES}
    drifted = [name for name in MODALITIES if each[name].drift]
    candidates = [name for name in drifted if name != "agreement"] or drifted
    named = max(candidates, key=lambda name: each[name].score or 0.0, default=None)
    return DriftResult(bool(drifted), named, each)


def _modality(
    name: str, comparison: Comparison, p_values: dict[str, float], limits: dict[str, float]
) -> ModalityDrift:
    columns = tests(comparison).get(name, [])
    if not columns:
        reason = comparison.skipped.get(name, "no column of it can be tested")
        return ModalityDrift(False, None, None, [], 0, reason)
    order = sorted(columns, key=lambda column: (p_values[column], column))
    corrected = min(1.0, p_values[order[0]] * ALPHA / limits[order[0]])
    drifted = [column for column in order if p_values[column] < limits[column]]
    score = -math.log10(max(corrected, 1e-300)) + 0.0
    return ModalityDrift(bool(drifted), round(score, 4), corrected, drifted, len(columns))
