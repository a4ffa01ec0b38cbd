"""Small posts and labels."""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import cast

import cv2
import numpy as np

from covla.kafka.clients import Topics
from covla.kafka.dead_letters import Record
from covla.model.encoders import Encoders
from covla.posts.taxonomy import load_taxonomy
from covla.schemas.label import PostLabel
from covla.schemas.post import Image, SocialPost
from covla.settings import Settings
from features.records import Label, Post, Reader
from features.sink import Sink

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


def record(topic: str, offset: int, value: bytes | None, key: bytes = b"k") -> Record:
    """A consumed record, of partition 0."""
    return cast(
        Record,
        SimpleNamespace(topic=topic, partition=0, offset=offset, key=key, value=value, headers=[]),
    )


def store(
    settings: Settings,
    encoders: Encoders,
    posts: Sequence[SocialPost] = (),
    labels: Sequence[PostLabel] = (),
    *,
    first: int = 0,
) -> Sink:
    """Posts and labels into every store, as ingest does it, at offsets from `first` on."""
    topics = Topics.of(settings)
    reader = Reader(settings, load_taxonomy(settings=settings))
    read = [
        reader.read(record(topic, first + i, item.to_json()))
        for topic, items in ((topics.posts, posts), (topics.labels, labels))
        for i, item in enumerate(items)
    ]
    sink = Sink(settings, encoders)
    sink.write(
        [item for item in read if isinstance(item, Post)],
        [item for item in read if isinstance(item, Label)],
    )
    sink.refresh_hashtags(force=True)
    return sink
