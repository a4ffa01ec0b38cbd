"""Small posts and labels."""

import base64
from datetime import UTC, datetime, timedelta

import cv2
import numpy as np

from covla.post import Image, PostLabel, SocialPost

START = datetime(2026, 5, 1, tzinfo=UTC)


def picture(seed: int) -> str:
    """A small JPEG as base64."""
    pixels = np.random.default_rng(seed).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    return base64.b64encode(cv2.imencode(".jpg", pixels)[1].tobytes()).decode()


def make_post(
    number: int = 0,
    *,
    post_id: str | None = None,
    minutes: float | None = None,
    image: bool = True,
    text: str = "coffee and cake with a view #brunch",
    author: str | None = "ann",
) -> SocialPost:
    """A post `minutes` (default: its number) after START."""
    at = START + timedelta(minutes=number if minutes is None else minutes)
    return SocialPost(
        post_id=post_id or f"p{number}",
        author_id=author,
        created_at=at,
        text=text,
        lang="en",
        image=Image(data=picture(number)) if image else None,
    )


def make_label(post_id: str, label: str = "restaurant_cafe", *, minutes: float = 30) -> PostLabel:
    """A label `minutes` after START."""
    return PostLabel(
        post_id=post_id, label=label, labelled_at=START + timedelta(minutes=minutes), source="test"
    )
