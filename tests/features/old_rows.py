"""Rows as an earlier release let them in: written to the stores past the bound for times."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from covla.posts.quality import TEXT_QUALITY
from covla.settings import Settings
from features.lake import Lake
from features.tables import LABELS, POSTS

IMPOSSIBLE = [
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(1600, 1, 1, tzinfo=UTC),
    datetime(2099, 1, 1, tzinfo=UTC),
    datetime(2300, 1, 1, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
]


def post_row(number: int | str, at: datetime, **more: Any) -> dict[str, Any]:
    """A text with #legday, known for a minute."""
    row = dict.fromkeys(POSTS.names) | {
        "post_id": f"p{number}",
        "event_timestamp": at,
        "created_timestamp": datetime.now(UTC) - timedelta(minutes=1),
        "posted_at": 0,
        "text": "squats #legday",
        "lang": "en",
        "hashtags": ["legday"],
        "has_text": True,
        "has_image": False,
        "text_embedding": [0.5] * 8,
        "encoder_id": "one",
        "topic": "posts",
        "partition": 0,
        "offset": number if isinstance(number, int) else 0,
    }
    return row | {f"text_{name}": 0.5 for name in TEXT_QUALITY} | more


def label_row(number: int, at: datetime, label: str = "gym_sports") -> dict[str, Any]:
    """Its label."""
    return {
        "post_id": f"p{number}",
        "event_timestamp": at,
        "created_timestamp": datetime.now(UTC) - timedelta(minutes=1),
        "label": label,
        "source": "test",
        "topic": "labels",
        "partition": 0,
        "offset": number,
    }


def put(settings: Settings, posts: list[dict[str, Any]], labels: list[dict[str, Any]]) -> None:
    """Into the lake."""
    lake = Lake(settings)
    lake.create()
    for table, rows, schema in (("posts", posts, POSTS), ("labels", labels, LABELS)):
        if rows:
            lake.append(table, pa.Table.from_pylist(rows, schema=schema))
