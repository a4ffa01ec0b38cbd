"""What saw a post."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from covla.errors import CovlaError
from covla.posts.seen import FILE as CONTENTS
from covla.posts.seen import read_contents, unseen
from covla.posts.training_post import TrainingPost
from covla.registry.lineage import FILE, read_lineage
from covla.registry.stored import StoredVersion, some_files
from covla.schemas.post import Image, SocialPost
from covla.settings import Settings
from covla.time_range import TimeRange
from features.snapshot import snapshot
from features.tables import SCHEMAS
from features.times import connect
from services.lineage.rows import Row, rows_of, select


@dataclass(frozen=True)
class TrainedOn:
    """A version that was trained on a post, or may have been.

    content: whether it was trained on this content, or on one that looks the same; None where that
    is not known: the text has expired, or the model has no list. interval: whether the post is in
    its training's time range; None for a model of a posts folder.
    """

    version: str
    aliases: list[str]
    content: bool | None
    interval: bool | None


@dataclass(frozen=True)
class PostLineage:
    """Rows of the lake about a post, and the versions that trained on it.

    predictions: None where this lake keeps none.
    """

    post_id: str
    rows: list[Row]
    labels: list[Row]
    teachers: list[Row]
    quarantine: list[Row]
    verdicts: list[Row]
    trained: list[TrainedOn]
    predictions: list[Row] | None


def post_lineage(
    post_id: str, versions: Sequence[StoredVersion], settings: Settings
) -> PostLineage | None:
    """What is known of a post; None where the lake has no row of it.

    Raises:
        CovlaError: files of a version do not match their manifest.
        ServiceUnavailable: the registry does not answer.
    """
    rows = rows_of("posts", "post_id", post_id, settings)
    if not rows:
        return None
    at = max(row["event_timestamp"] for row in rows)
    verdicts = select("verdicts", 'event_timestamp <= $at and "end" > $at', {"at": at}, settings)
    post = _post(post_id, settings)
    trained = [_trained(post, at, version, settings) for version in versions]
    kept = "predictions" in SCHEMAS
    return PostLineage(
        post_id,
        rows,
        rows_of("labels", "post_id", post_id, settings),
        rows_of("teacher", "post_id", post_id, settings),
        rows_of("quarantine", "post_id", post_id, settings),
        verdicts,
        [one for one in trained if one.content or (one.content is None and one.interval)],
        rows_of("predictions", "post_id", post_id, settings) if kept else None,
    )


def _trained(
    post: TrainingPost | None, at: datetime, version: StoredVersion, settings: Settings
) -> TrainedOn:
    content: bool | None = None
    with some_files(version, (FILE, CONTENTS), settings) as folder:
        lineage = read_lineage(folder)
        if post is not None and read_contents(folder) is not None:
            content = not unseen([post], [folder], settings)[0]
    interval = None
    if lineage is not None and lineage.intervals:
        ranges = [TimeRange.parse(text) for text in lineage.intervals]
        interval = any(start <= at < end for start, end in ranges)
    return TrainedOn(version.version, list(version.aliases), content, interval)


def _post(post_id: str, settings: Settings) -> TrainingPost | None:
    """The last version of a post; None where its text has expired."""
    with snapshot(settings, "posts") as files, connect() as database:
        found: Any = database.execute(
            "select text, image_uri, event_timestamp from "
            "read_parquet($posts, hive_partitioning=false) where post_id = $post_id "
            "order by event_timestamp desc, created_timestamp desc limit 1",
            {**files, "post_id": post_id},
        ).fetchone()
    text, uri, at = found
    if text is None:
        return None
    image = Image(uri=uri) if uri else None
    try:
        post = SocialPost(post_id=post_id, created_at=at.astimezone(UTC), text=text, image=image)
    except ValueError as error:
        raise CovlaError(f"the lake's row of post {post_id!r} is no post: {error}") from error
    return TrainingPost(post, None)
