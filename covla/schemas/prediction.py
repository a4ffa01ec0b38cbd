"""Prediction, the wire contract of the predictions topic."""

import hashlib
from typing import Any, Literal, Self

from pydantic import Field

from covla.errors import PostError
from covla.schemas.contract import Contract, PostId, Timestamp, check_size
from covla.settings import Settings
from covla.times import check_time

Flag = Literal["text_missing", "image_missing", "image_unreadable", "stale_context"]


class Prediction(Contract):
    """What kind of place a post shows, by one model version."""

    prediction_id: str
    post_id: PostId
    label: str
    probabilities: dict[str, float] = Field(description="label -> probability, in taxonomy order")
    gate: float = Field(ge=0, le=1, description="Share of text in the fused vector; 1 = text alone")
    modalities: list[Literal["text", "image"]] = Field(description="What was there and was used")
    quality: dict[str, float] = Field(description="Text and image quality measures")
    flags: list[Flag]
    model_version: str
    predicted_at: Timestamp
    latency_ms: float = Field(ge=0)

    @staticmethod
    def id_for(post_id: str, model_version: str) -> str:
        """The same post and version always give the same id, so that a reader can drop repeats."""
        return hashlib.sha256(f"{post_id}\0{model_version}".encode()).hexdigest()[:32]

    def answer(self) -> dict[str, Any]:
        """What depends on post and model alone: equal over REST, stream and backfill."""
        return self.model_dump(exclude={"predicted_at", "latency_ms"})

    def check_limits(self, settings: Settings) -> Self:
        """Hold the prediction against the configured times, and its label against its own labels.

        Raises:
            PostError: predicted_at is out of range, or label has no probability.
        """
        check_time("predicted_at", self.predicted_at, settings)
        if self.label not in self.probabilities:
            raise PostError("label", "unknown_label", f"{self.label!r} has no probability")
        return self


def parse_prediction(raw: bytes | None, settings: Settings) -> Prediction:
    """A message value to a prediction within the limits.

    Raises:
        PostError: it names the field and says what is wrong.
    """
    check_size(raw, settings)
    return Prediction.from_json(raw).check_limits(settings)
