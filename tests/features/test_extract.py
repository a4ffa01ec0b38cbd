"""One row per post, and what it must not hold."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

import numpy as np

from covla.model.encoders import Encoded, Encoders
from covla.posts.image_store import BlobStore
from covla.posts.preprocessing import prepare
from covla.settings import Settings
from features.extract import FEATURES, author_hash, extract
from tests.features.posts import START, make_post


@dataclass
class Means:
    """Stands for the towers: what they give is not looked at here."""

    id: str = "means"

    def encode(self, items: Any) -> list[Encoded]:
        """The length of the text, the mean of the image."""
        return [
            Encoded(
                None,
                np.full(3, len(item.text), np.float32) if item.text else None,
                None,
                np.full(2, item.image.mean(), np.float32) if item.image is not None else None,
            )
            for item in items
        ]


def rows(settings: Settings, *posts: Any) -> list[dict[str, Any]]:
    blobs = BlobStore(settings)
    items = [prepare(post, settings, blobs) for post in posts]
    found = extract(
        items,
        cast(Encoders, Means()),
        datetime(2026, 6, 1, tzinfo=UTC),
        secret=settings.author_secret(),
        image_uris=[None] * len(items),
    )
    assert found.schema == FEATURES
    return cast(list[dict[str, Any]], found.to_pylist())


def test_a_missing_modality_is_null(offline_settings: Settings) -> None:
    both, words, picture = rows(
        offline_settings, make_post(1), make_post(2, image=False), make_post(3, text="")
    )
    assert both["text_embedding"] == [float(len(both["text"]))] * 3
    assert both["image_blur"] > 0
    assert (words["has_image"], words["image_embedding"], words["image_blur"]) == (
        False,
        None,
        None,
    )
    assert (picture["has_text"], picture["text_embedding"], picture["text_words"]) == (
        False,
        None,
        None,
    )
    assert picture["hashtags"] == []


def test_times_keep_their_microseconds(offline_settings: Settings) -> None:
    (row,) = rows(offline_settings, make_post(1, minutes=0.123456789))
    assert row["event_timestamp"] > START
    assert row["posted_at"] == row["event_timestamp"].timestamp() * 1e6


def test_the_author_is_a_keyed_hash(offline_settings: Settings, tmp_path: Any) -> None:
    first, second, other, nobody = rows(
        offline_settings,
        make_post(1),
        make_post(2),
        make_post(3, author="bob"),
        make_post(4, author=None),
    )
    assert first["author_hash"] == second["author_hash"] != other["author_hash"]
    assert nobody["author_hash"] is None
    assert "ann" not in str(first)
    another = Settings(state=tmp_path / "another").author_secret()
    assert author_hash("ann", another) != first["author_hash"]
