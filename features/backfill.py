"""Predictions of a time range's posts by one model version, into the lake: history for a version
that did not serve then, or posts that the stream missed."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from covla.errors import TooFew
from covla.inference.known_context import known_context
from covla.inference.predictor import Predictor
from covla.schemas.prediction import Prediction
from covla.settings import Settings
from covla.time_range import TimeRange
from covla.times import now
from features.lake import Lake
from features.sink import prediction_row
from features.source import posts_with_context
from features.tables import BACKFILL, PREDICTIONS

CHUNK = 256  # posts


@dataclass(frozen=True)
class Backfilled:
    """What was written; `errors` are posts that the version cannot predict."""

    window: str
    model_version: str
    as_of: str
    predictions: int
    errors: int


def backfill(
    window: TimeRange,
    ref: str,
    settings: Settings,
    *,
    as_of: datetime | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Backfilled:
    """Predict the posts of a time range, with the context that was known at `as_of`.

    A second run of the same version, time range and `as_of` overwrites the first. The rows are in
    the Feast view `prediction`; live quality leaves them out, since nobody was served by them.

    Args:
        window: of event time of the posts.
        ref: champion, challenger, previous, a version number, or a model folder.
        settings: the registry and the lake.
        as_of: aware; default now.
        progress: called with posts done and in all.

    Raises:
        CovlaError: no such model.
        TooFew: no post.
        ServiceUnavailable: the registry, the blob store or this machine fails.
    """
    as_of = as_of or now()
    posts = posts_with_context(window, settings, as_of)
    if not posts:
        raise TooFew(f"no post in the window {window}", hint="Ingest posts first")
    model = Predictor.load(ref, settings, known_context(posts))
    rows = []
    for start in range(0, len(posts), CHUNK):
        chunk = [post.post for post in posts[start : start + CHUNK]]
        rows += [
            prediction_row(made, as_of)
            | {
                "event_timestamp": as_of,
                # How long a batch took says nothing of how long a caller would have waited.
                "latency_ms": None,
                "topic": BACKFILL,
                "partition": 0,
                "offset": start + i,
            }
            for i, made in enumerate(model.predict(chunk))
            if isinstance(made, Prediction)
        ]
        progress(min(start + CHUNK, len(posts)), len(posts))
    name = f"{BACKFILL}-{model.version}-{window.slug}-{as_of:%Y%m%dT%H%M%S%f}"
    Lake(settings).put("predictions", pa.Table.from_pylist(rows, schema=PREDICTIONS), name)
    return Backfilled(
        str(window), model.version, as_of.isoformat(), len(rows), len(posts) - len(rows)
    )
