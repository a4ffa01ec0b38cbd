"""Posts of a time range to train on, and a teacher's vectors of them back into the lake."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from covla.arrays import FloatArray
from covla.errors import TooFew
from covla.posts.hashtag_prior import HashtagPrior
from covla.posts.splits import grouped, hold_out
from covla.posts.training_post import TrainingPost
from covla.schemas.post import Image, SocialPost
from covla.settings import Settings
from covla.time_range import TimeRange
from covla.times import now
from features.lake import Lake
from features.tables import TEACHER
from features.training_set import HashtagState, nothing_in, training_set

HELD_OUT = 0.2  # of the posts of a time range


def load_window(
    window: TimeRange, settings: Settings, as_of: datetime | None = None
) -> tuple[list[TrainingPost], dict[str, int]]:
    """The posts of a time range with what was known of them at `as_of`, labelled or not; and how
    many were left out: "quarantined" or "blocked" by validation, or "expired".

    Images are addresses in the blob store. A fifth is held out, by content.

    Raises:
        TooFew: no post.
    """
    frame = training_set(window, settings, as_of)
    if frame.empty:
        raise TooFew(nothing_in(window, frame), hint="Ingest posts first")
    posts = [_training_post(row) for row in frame.to_dict("records")]
    return hold_out(grouped(posts, settings), HELD_OUT), frame.attrs["left_out"]


def posts_by_id(
    post_ids: Sequence[str], settings: Settings, as_of: datetime | None = None
) -> list[TrainingPost]:
    """Posts of the lake with what was known of them at `as_of`, blocked and quarantined ones too;
    those whose text is gone, or that are older than `train_window_hours`, are left out. None of
    them trains.

    Args:
        post_ids: posts of near times: the whole time range from first to last is read.
    """
    wanted = pa.array(sorted(set(post_ids)), pa.string())
    lake = Lake(settings)
    oldest = (as_of or now()) - timedelta(hours=settings.train_window_hours)
    recent = TimeRange(oldest, lake.latest())
    found = lake.read("posts", recent, ["post_id", "event_timestamp"], only=wanted)
    if not found.num_rows:
        return []
    times = pc.min_max(found["event_timestamp"]).as_py()
    window = TimeRange(times["min"], times["max"] + timedelta(microseconds=1))
    known = set(wanted.to_pylist())
    return [post for post in posts_with_context(window, settings, as_of) if post.post_id in known]


def posts_with_context(
    window: TimeRange, settings: Settings, as_of: datetime | None = None
) -> list[TrainingPost]:
    """The posts of a time range with what was known of them at `as_of`, to predict and not to
    train on, blocked and quarantined ones too. Those whose text is gone are left out."""
    frame = training_set(window, settings, as_of, everything=True)
    there = frame[~(frame["has_text"].eq(True) & frame["text"].isna())]
    return [replace(_training_post(row), split="holdout") for row in there.to_dict("records")]


def _training_post(row: Mapping[Any, Any]) -> TrainingPost:
    post = SocialPost(
        post_id=row["post_id"],
        created_at=row["event_timestamp"].to_pydatetime().astimezone(UTC),
        text=row["text"],
        lang=None if row["lang"] == "und" else row["lang"],
        image=Image(uri=row["image_uri"]) if row["has_image"] else None,
    )
    label, teacher = row["label"], row["teacher"]
    return TrainingPost(
        post=post,
        label=None if pd.isna(label) else label,
        priors=as_priors(row["hashtag_priors"]),
        teacher=None if teacher is None else np.asarray(teacher, dtype=np.float32),
        teacher_id=None if teacher is None else row["teacher_id"],
    )


def as_priors(rows: Mapping[str, HashtagState]) -> dict[str, HashtagPrior]:
    """What the model takes of each hashtag."""
    return {
        tag: HashtagPrior([float(fraction) for fraction in row["prior"]], float(row["posts"]))
        for tag, row in rows.items()
    }


def write_teacher(
    window: TimeRange,
    vectors: Mapping[str, FloatArray],
    teacher_id: str,
    settings: Settings,
    as_of: datetime | None = None,
) -> int:
    """Keep a teacher's vectors of the posts of a time range; returns how many.

    A second run of the same teacher over the same time range overwrites the first.

    Args:
        window: of event time; a vector of a post outside it is an error of the caller.
        vectors: post_id -> d float32.
        teacher_id: kind, revision and prompt of the teacher.
        settings: which state folder.
        as_of: when the posts were read; a training set as of this time has the vectors.

    Raises:
        CovlaError: the lake cannot be written.
    """
    lake = Lake(settings)
    created = as_of or now()
    columns = ["post_id", "event_timestamp", "created_timestamp"]
    last: dict[str, datetime] = {}
    for row in lake.read("posts", window, columns).to_pylist():
        if row["created_timestamp"] > created:
            continue
        at = row["event_timestamp"]
        last[row["post_id"]] = max(at, last.get(row["post_id"], at))
    rows = [
        {
            "post_id": post_id,
            "event_timestamp": last[post_id],
            "created_timestamp": created,
            "teacher": np.asarray(vector, np.float32),
            "teacher_id": teacher_id,
        }
        for post_id, vector in sorted(vectors.items())
    ]
    name = f"{teacher_id}-{window.slug}"
    lake.discard("teacher", window, name)
    lake.put("teacher", pa.Table.from_pylist(rows, schema=TEACHER), name)
    return len(rows)
