"""Accuracy over time, once the true labels of a window have come in."""

from typing import Any

import pandas as pd
from sklearn.metrics import accuracy_score

from covla.errors import CovlaError
from covla.metrics import macro_f1


def performance(
    predictions: pd.DataFrame, labels: pd.DataFrame, *, every: str = "1h"
) -> list[dict[str, Any]]:
    """Accuracy and macro-F1 per time slot.

    Args:
        predictions: post_id, event_timestamp (aware), label, model_version.
        labels: post_id, label; several for one post: the last one counts.
        every: length of a slot, as pandas writes it.

    Returns:
        One entry per model version and slot with a labelled post, in order: start (RFC 3339),
        model_version, posts, labelled, accuracy, macro_f1 (over the labels that occur there).

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
    truth = labels.drop_duplicates("post_id", keep="last").set_index("post_id")["label"]
    joined = predicted.assign(truth=predicted["post_id"].map(truth))
    if joined["truth"].isna().all():
        raise CovlaError(
            "no predicted post of this window has a label yet",
            hint="Publish labels to the labels topic, or take an earlier window",
        )
    joined["start"] = joined["event_timestamp"].dt.floor(every)
    rows = []
    slots: Any = joined.groupby(["start", "model_version"])
    for (start, model), slot in slots:
        known = slot.dropna(subset=["truth"])
        if known.empty:
            continue
        pair = (known["truth"], known["label"])
        rows.append(
            {
                "start": start.isoformat(),
                "model_version": model,
                "posts": len(slot),
                "labelled": len(known),
                "accuracy": float(accuracy_score(*pair)),
                "macro_f1": macro_f1(*pair),
            }
        )
    return rows
