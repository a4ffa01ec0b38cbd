"""What goes out for a post: the contract's Prediction out of a model's numbers."""

from datetime import datetime
from typing import Literal

from covla.posts.preprocessing import PreparedPost
from covla.schemas.prediction import Flag, Prediction

DECIMALS = 6


def prediction(
    item: PreparedPost,
    probabilities: dict[str, float],
    gate: float,
    *,
    version: str,
    predicted_at: datetime,
    latency_ms: float,
    stale_context: bool,
) -> Prediction:
    """The Prediction of a prepared post, its numbers rounded to DECIMALS.

    Args:
        item: the post.
        probabilities: label -> probability, in taxonomy order.
        gate: share of text in the fused vector, 0..1.
        version: of the model.
        predicted_at: when the answer was there.
        latency_ms: what it took.
        stale_context: whether what is known of its hashtags could not be looked up.
    """
    shares = {label: round(share, DECIMALS) for label, share in probabilities.items()}
    modalities: list[Literal["text", "image"]] = []
    modalities += ["text"] if item.text else []
    modalities += ["image"] if item.image is not None else []
    stale: list[Flag] = ["stale_context"] if stale_context else []
    return Prediction(
        prediction_id=Prediction.id_for(item.post.post_id, version),
        post_id=item.post.post_id,
        label=max(shares, key=lambda label: shares[label]),  # of equal ones the first
        probabilities=shares,
        gate=round(gate, DECIMALS),
        modalities=modalities,
        quality=_quality(item),
        flags=item.flags + stale,
        model_version=version,
        predicted_at=predicted_at,
        latency_ms=latency_ms,
    )


def _quality(item: PreparedPost) -> dict[str, float]:
    sides = (("text", item.text_quality), ("image", item.image_quality))
    return {
        f"{side}_{name}": round(value, DECIMALS)
        for side, values in sides
        for name, value in values.items()
    }
