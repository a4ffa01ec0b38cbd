"""Predictions and labels in a lake, as ingest writes them."""

from datetime import datetime, timedelta

from covla.kafka.clients import Topics
from covla.schemas.label import PostLabel
from covla.schemas.prediction import Prediction
from covla.settings import Settings
from features.lake import Lake
from features.records import Label, Predicted
from features.sink import label_rows, prediction_rows
from tests.features.posts import START, record

LABELS = ("home", "restaurant_cafe")


def predicted(
    post_id: str,
    confidence: float = 0.9,
    *,
    label: str = "home",
    minutes: float = 0,
    version: str = "7",
    modalities: tuple[str, ...] = ("text", "image"),
    **fields: object,
) -> Prediction:
    """A prediction `minutes` after START."""
    other = next(name for name in LABELS if name != label)
    shares = {label: confidence, other: 1 - confidence}
    values = {
        "prediction_id": Prediction.id_for(post_id, version),
        "post_id": post_id,
        "label": label,
        "probabilities": {name: shares[name] for name in LABELS},
        "gate": 0.5,
        "modalities": list(modalities),
        "quality": {"text_length": 10.0},
        "flags": [],
        "model_version": version,
        "predicted_at": START + timedelta(minutes=minutes),
        "latency_ms": 12.0,
    }
    return Prediction.model_validate(values | fields)


def labelled(post_id: str, label: str = "home", *, minutes: float = 60) -> PostLabel:
    """A label `minutes` after START."""
    return PostLabel(
        post_id=post_id, label=label, labelled_at=START + timedelta(minutes=minutes), source="test"
    )


def keep(
    settings: Settings,
    predictions: list[Prediction],
    labels: list[PostLabel] = [],  # noqa: B006  # never changed
    *,
    created: datetime = START,
    first: int = 0,
) -> None:
    """Write both to the lake, as known since `created`, at Kafka offsets from `first` on."""
    topics, lake = Topics.of(settings), Lake(settings)
    made = [
        Predicted(record(topics.predictions, first + i, None), item)
        for i, item in enumerate(predictions)
    ]
    known = [Label(record(topics.labels, first + i, None), item) for i, item in enumerate(labels)]
    if made:
        lake.append("predictions", prediction_rows(made, created))
    if known:
        lake.append("labels", label_rows(known, created))
