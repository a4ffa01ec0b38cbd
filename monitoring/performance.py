"""Accuracy over time, once the true labels have come in."""

from dataclasses import dataclass
from typing import Any

import pandas as pd
from sklearn.metrics import accuracy_score

from covla.errors import CovlaError
from covla.metrics import macro_f1


@dataclass(frozen=True)
class Slot:
    """The performance of one model version in one time slot."""

    start: str  # RFC 3339
    model_version: str
    posts: int
    labelled: int
    accuracy: float
    macro_f1: float  # over the labels that occur in the slot


def performance(
    predictions: pd.DataFrame, labels: pd.DataFrame, *, every: str = "1h"
) -> list[Slot]:
    """Accuracy and macro-F1 per time slot.

    Args:
        predictions: post_id, event_timestamp (aware), label, model_version.
        labels: post_id, label; several for one post: the last one counts.
        every: length of a slot, as pandas writes it.

    Returns:
        One entry per model version and slot with a labelled post, in order.

    Raises:
        CovlaError: a column is missing, or no predicted post has a label.
    """
    needed = {
        "predictions": (predictions, ["post_id", "event_timestamp", "label", "model_version"]),
        "labels": (labels, ["post_id", "label"]),
    }
    for name, (frame, columns) in needed.items():
        if missing := [column for column in columns if column not in frame]:
            raise CovlaError(f"{name}: no column {missing[0]}")
    # A redelivered post is predicted again under the same id: it counts once.
    predicted = predictions.drop_duplicates(["post_id", "model_version"], keep="last")
    y_true = labels.drop_duplicates("post_id", keep="last").set_index("post_id")["label"]
    joined = predicted.assign(y_true=predicted["post_id"].map(y_true))
    if joined["y_true"].isna().all():
        raise CovlaError(
            "no predicted post of this window has a label yet",
            hint="Publish labels to the labels topic, or take an earlier window",
        )
    joined["start"] = joined["event_timestamp"].dt.floor(every)
    slots = []
    groups: Any = joined.groupby(["start", "model_version"])
    for (start, version), posts in groups:
        labelled = posts.dropna(subset=["y_true"])
        if labelled.empty:
            continue
        pair = (labelled["y_true"], labelled["label"])
        scores = (float(accuracy_score(*pair)), macro_f1(*pair))
        slots.append(Slot(start.isoformat(), version, len(posts), len(labelled), *scores))
    return slots
