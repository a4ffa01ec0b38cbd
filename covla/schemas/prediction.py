"""Prediction, the wire contract of the predictions topic."""

import hashlib
from typing import Any, Literal

from pydantic import Field

from covla.schemas.contract import Contract, PostId, Timestamp

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
