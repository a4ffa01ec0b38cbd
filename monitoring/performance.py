"""How the served versions do on live posts: measured where labels came, estimated where not."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from covla.metrics import Interval, ece, macro_f1, proportion
from monitoring.estimate import estimated_accuracy, estimated_macro_f1, sharpened
from monitoring.live_posts import probability_matrix


@dataclass(frozen=True)
class Accuracy:
    """Of a part of the posts; `accuracy` is None where none has a label yet."""

    posts: int
    labelled: int
    accuracy: Interval | None
    estimated_accuracy: Interval


@dataclass(frozen=True)
class LabelPerformance:
    """Of one label; None where no labelled post has it, or none was predicted so."""

    labelled: int
    recall: Interval | None
    precision: Interval | None


@dataclass(frozen=True)
class LabelDelay:
    """Hours from a prediction to its label, of the posts that have one."""

    median: float
    p95: float


@dataclass(frozen=True)
class VersionPerformance:
    """Of one model version in a time range; intervals are of 95 %."""

    model_version: str
    posts: int
    labelled: int
    accuracy: Interval | None
    macro_f1: float | None
    ece: float | None
    estimated_accuracy: Interval
    estimated_macro_f1: float
    label_delay_hours: LabelDelay | None
    per_label: dict[str, LabelPerformance]
    per_modality: dict[str, Accuracy]  # "text", "image", "text+image"
    per_hour: dict[str, Accuracy]  # by the hour's start, RFC 3339


def performance(
    rows: pd.DataFrame, sharpness: Mapping[str, float] | None = None
) -> list[VersionPerformance]:
    """The performance of each version, in the order of its first prediction.

    Args:
        rows: of `live_posts.live_posts`.
        sharpness: of versions, for the estimates; that of others is 1.
    """
    known = sharpness or {}
    return [
        _of_version(str(version), own, known.get(str(version), 1.0))
        for version, own in rows.groupby("model_version", sort=False)
    ]


def _of_version(version: str, rows: pd.DataFrame, sharpness: float) -> VersionPerformance:
    whole, known = _accuracy(rows, sharpness), rows.dropna(subset="y_true")
    probabilities, labels = probability_matrix(rows)
    modalities = rows["modalities"].map("+".join)
    hours = rows["event_timestamp"].dt.floor("1h").map(pd.Timestamp.isoformat)
    return VersionPerformance(
        model_version=version,
        posts=whole.posts,
        labelled=whole.labelled,
        accuracy=whole.accuracy,
        macro_f1=macro_f1(known["y_true"].to_numpy(), known["y_pred"].to_numpy())
        if len(known)
        else None,
        ece=_calibration_error(known, labels),
        estimated_accuracy=whole.estimated_accuracy,
        estimated_macro_f1=estimated_macro_f1(sharpened(probabilities, sharpness)),
        label_delay_hours=_delay(known),
        per_label=dict(_per_label(known, labels)),
        per_modality={
            str(name): _accuracy(own, sharpness) for name, own in rows.groupby(modalities)
        },
        per_hour={str(start): _accuracy(own, sharpness) for start, own in rows.groupby(hours)},
    )


def _accuracy(rows: pd.DataFrame, sharpness: float) -> Accuracy:
    known = rows.dropna(subset="y_true")
    correct = int((known["y_true"] == known["y_pred"]).sum())
    probabilities, _ = probability_matrix(rows)
    measured = proportion(correct, len(known)) if len(known) else None
    estimate = estimated_accuracy(sharpened(probabilities, sharpness))
    return Accuracy(len(rows), len(known), measured, estimate)


def _calibration_error(known: pd.DataFrame, labels: list[str]) -> float | None:
    # A label that the version does not know has no probability to hold against.
    known = known[known["y_true"].isin(labels)]
    if known.empty:
        return None
    probabilities, _ = probability_matrix(known)
    return ece(probabilities, np.array([labels.index(label) for label in known["y_true"]]))


def _delay(known: pd.DataFrame) -> LabelDelay | None:
    if known.empty:
        return None
    median, p95 = (float(known["delay_hours"].quantile(q)) for q in (0.5, 0.95))
    return LabelDelay(median, p95)


def _per_label(known: pd.DataFrame, labels: list[str]) -> Iterator[tuple[str, LabelPerformance]]:
    for label in sorted({*labels, *known["y_true"]}):
        is_true, is_predicted = known["y_true"] == label, known["y_pred"] == label
        hits = int((is_true & is_predicted).sum())
        of_true, of_predicted = int(is_true.sum()), int(is_predicted.sum())
        yield (
            label,
            LabelPerformance(
                labelled=of_true,
                recall=proportion(hits, of_true) if of_true else None,
                precision=proportion(hits, of_predicted) if of_predicted else None,
            ),
        )
