"""Hours of posts in a real lake, and a champion that was trained on posts like them."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from covla.posts.taxonomy import load_taxonomy
from covla.registry.model_folder import write_manifest
from covla.registry.registry import Registry
from covla.settings import Settings
from covla.time_range import TimeRange
from features.lake import Lake
from features.tables import SCHEMAS
from tests.features.old_rows import post_row

Rows = list[dict[str, Any]]
START, HOUR = datetime(2026, 5, 1, tzinfo=UTC), timedelta(hours=1)
FIRST = 52  # the hour that is looked at, after two days of others
WINDOW = TimeRange(START + FIRST * HOUR, START + (FIRST + 1) * HOUR)
AS_OF = WINDOW.end + timedelta(minutes=10)
LABELS = load_taxonomy(settings=Settings()).names
MEASURES = ("brightness", "contrast", "blur", "noise", "entropy", "aspect")


def rows_of(hour: int, posts: int, seed: int = 0) -> Rows:
    """Good posts, each with a label, text and image of its own."""
    rng = np.random.default_rng([seed, hour])
    rows = []
    for i in range(posts):
        at = START + hour * HOUR + timedelta(seconds=i)
        text = f"post {i} of hour {hour}, and more words to tell it from others"
        row = post_row(f"{hour}-{i}", at, created_timestamp=at + timedelta(minutes=1))
        row |= {"text": text, "text_hash": text, "offset": hour * 10_000 + i}
        row |= {"text_characters": float(rng.integers(40, 90)), "has_image": True}
        row |= {f"image_{name}": float(rng.normal(10, 1)) for name in MEASURES}
        row |= {"image_hash": text, "image_perceptual_hash": rng.bytes(16)}
        row |= {"image_embedding": [0.5] * 8, "lang": "en" if rng.random() < 0.8 else "es"}
        row["label"] = LABELS[i % len(LABELS)]
        rows.append(row)
    return rows


def write(settings: Settings, rows: Rows, name: str = "hour", dead: int = 0) -> None:
    """Posts, their labels and dead letters, in place of those of the same name."""
    lake = Lake(settings)
    lake.create()
    labels = [row | {"source": "test"} for row in rows if row["label"] is not None]
    letters = [
        rows[0] | {"topic": f"{settings.topic_prefix}.posts", "partition": 1, "offset": i}
        | {"stage": "parse", "error_code": "not_json"}
        for i in range(dead)
    ]  # fmt: skip
    for table, made in (("posts", rows), ("labels", labels), ("dead_letters", letters)):
        lake.discard(table, WINDOW, name)
        if made:
            lake.put(table, pa.Table.from_pylist(made, schema=SCHEMAS[table]), name)


def promote(settings: Settings, rows: Sequence[Mapping[str, Any]]) -> None:
    """A champion of these training posts, since before the first hour."""
    folder = settings.state / "model"
    folder.mkdir()
    frame = pd.DataFrame(rows).drop(columns=["hashtags"])
    frame.to_parquet(folder / "reference.parquet")
    for part in ("metrics", "training", "config"):
        (folder / f"{part}.json").write_text("{}")
    write_manifest(folder)
    registry = Registry(settings)
    version = registry.register(folder)
    registry.promote(version, force=True)
    registry.tag(version, promoted_at=(START - HOUR).isoformat())


Change = Callable[[Rows], None]


def every(share: float, **values: Any) -> Change:
    """These values in so many of the rows."""

    def change(rows: Rows) -> None:
        for row in rows[: round(share * len(rows))]:
            row.update(values)

    return change
