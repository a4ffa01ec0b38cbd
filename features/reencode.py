"""Feature rows of stored posts, made again by the towers of another model version.

A post that is encoded again has a row more: of the same event time, written later, so every reader
takes it, and one that reads the lake as of an earlier time does not see it (ADR 28). Nothing of a
row that the online store holds depends on the towers: there is nothing to write there.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pandas as pd
import pyarrow as pa

from covla.errors import PostError, ServiceUnavailable, TooFew
from covla.inference.shared_encoders import shared_encoders
from covla.model.encoders import Encoders
from covla.model.runtime.backend import Backend
from covla.model.runtime.device import pick_device
from covla.posts.image_store import BlobStore
from covla.posts.preprocessing import PreparedPost, prepare
from covla.registry.encoder_id import encoder_id, same_encoder
from covla.registry.registry import Registry
from covla.schemas.post import Image, SocialPost
from covla.settings import Settings
from covla.time_range import TimeRange
from covla.times import now
from features.lake import Lake
from features.tables import AGAIN, POSTS

CHUNK = 256  # posts in memory at once
PASSES = 5  # at most, over posts that came while others were encoded
ORDER = ["event_timestamp", "created_timestamp"]
HOUR = timedelta(hours=1)

Row = dict[str, Any]
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reencoded:
    """What was done. `there` are posts whose last row is of these encoders already, `skipped` those
    whose text or image is gone, `left` those above the maximum."""

    window: str
    model_version: str
    encoder_id: str | None  # None where the version does not say, and there is no post
    as_of: str
    posts: int = 0
    there: int = 0
    skipped: int = 0
    left: int = 0


def reencode(
    window: TimeRange,
    ref: str,
    settings: Settings,
    *,
    as_of: datetime | None = None,
    maximum: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Reencoded:
    """Encode the posts of a time range with a version's towers, in f32, as ingest does, and write
    their rows to the lake. A run that was killed is ended by the same call: with the same `as_of`
    it gives the same bytes.

    Args:
        window: of event time of the posts.
        ref: champion, challenger, previous, a version number, or a model folder.
        settings: the registry, the lake and the image store.
        as_of: aware; rows written later are not seen, and the new ones carry it. Default now.
        maximum: posts to encode at most.
        progress: called with posts done and in all.

    Raises:
        CovlaError: no such model, or its towers do not fit.
        TooFew: it is the champion, and none was promoted yet.
        ServiceUnavailable: the registry, the image store, the lake or the towers fail.
    """
    as_of, registry = as_of or now(), Registry(settings)
    if ref == "champion" and registry.champion() is None:
        raise TooFew("there is no champion yet to encode with", hint="Promote one")
    version, folder = registry.resolve(ref)
    load = partial(shared_encoders, folder, Backend.default(pick_device(settings.device)), settings)
    last, wanted = _last_rows(window, settings, as_of), encoder_id(folder)
    if last.empty:
        return Reencoded(str(window), version, wanted, as_of.isoformat())
    wanted = wanted or load().id  # a version of an older release does not say
    others = last[[not same_encoder(row, wanted) for row in last["encoder_id"]]]
    chosen = others.head(maximum) if maximum is not None else others
    result = Reencoded(str(window), version, wanted, as_of.isoformat())
    result = replace(result, there=len(last) - len(others), left=len(others) - len(chosen))
    if chosen.empty:
        return result
    encoders = load()  # only now: most calls find nothing to do
    written = done = 0
    lake = Lake(settings)
    for rows in _chunks(chosen, window, settings):
        again = _encoded(rows, encoders, settings, as_of)
        if again:
            lake.append("posts", pa.Table.from_pylist(again, schema=POSTS))
        written, done = written + len(again), done + len(rows)
        progress(done, len(chosen))
    if skipped := done - written:
        log.warning("%d posts of %s are skipped: their text or image is gone", skipped, window)
    return replace(result, posts=written, skipped=skipped)


def reencode_recent(
    ref: str,
    settings: Settings,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Reencoded:
    """`reencode` over the last `backfill_days`, and again over what came meanwhile.

    Raises:
        CovlaError, ServiceUnavailable: as `reencode`.
    """
    posts = 0
    for _ in range(PASSES):
        end = Lake(settings).latest() + timedelta(microseconds=1)
        window = TimeRange(end - timedelta(days=settings.backfill_days), end)
        done = reencode(window, ref, settings, progress=progress)
        posts += done.posts
        if done.posts <= CHUNK:
            break
    return replace(done, posts=posts, there=done.there + done.posts - posts)


def _last_rows(window: TimeRange, settings: Settings, as_of: datetime) -> pd.DataFrame:
    """The last version of each post of the time range that was known at `as_of`, by time."""
    columns = ["post_id", *ORDER, "encoder_id"]
    rows = Lake(settings).read("posts", window, columns).to_pandas()
    rows = rows[rows["created_timestamp"] <= as_of]
    last: pd.DataFrame = rows.sort_values([*ORDER, "post_id"], kind="stable").drop_duplicates(
        "post_id", keep="last"
    )
    return last


def _chunks(chosen: pd.DataFrame, window: TimeRange, settings: Settings) -> Iterator[list[Row]]:
    """Whole rows of the chosen ones, an hour's at a time: each post with its last row."""
    lake = Lake(settings)
    hours = chosen["event_timestamp"].dt.floor("h")
    for hour, part in chosen.groupby(hours, sort=True):
        start = pd.Timestamp(str(hour)).to_pydatetime().astimezone(UTC)
        inside = TimeRange(max(start, window.start), min(start + HOUR, window.end))
        for first in range(0, len(part), CHUNK):
            some = part.iloc[first : first + CHUNK]
            keys = set(some[["post_id", *ORDER]].itertuples(index=False, name=None))
            found = lake.read("posts", inside, only=pa.array(sorted(some["post_id"]), pa.string()))
            rows = {
                row["post_id"]: row
                for row in found.to_pylist()
                if (row["post_id"], row["event_timestamp"], row["created_timestamp"]) in keys
            }
            yield [rows[post_id] for post_id in some["post_id"]]


def _encoded(
    rows: Sequence[Row], encoders: Encoders, settings: Settings, as_of: datetime
) -> list[Row]:
    """The rows with new vectors; those whose text or image is gone are left out."""
    blobs = BlobStore(settings)
    with ThreadPoolExecutor(2, thread_name_prefix="decode") as pool:
        prepared = list(pool.map(lambda row: _prepared(row, settings, blobs), rows))
    pairs = [(row, item) for row, item in zip(rows, prepared, strict=True) if item is not None]
    codes = encoders.encode([item for _, item in pairs])
    return [
        row
        | {
            "created_timestamp": as_of,
            "came_at": row["came_at"] or row["created_timestamp"],
            "text_embedding": code.text_embedding,
            "image_embedding": code.image_embedding,
            "encoder_id": encoders.id,
            "topic": _source(row["topic"], encoders.id, as_of),
        }
        for (row, _), code in zip(pairs, codes, strict=True)
    ]


def _source(topic: str, encoders: str, as_of: datetime) -> str:
    """In place of the topic: a file of the lake for each run, beside that of the post's record."""
    return f"{topic.split(AGAIN, maxsplit=1)[0]}{AGAIN}{encoders}{AGAIN}{as_of:%Y%m%dT%H%M%S%f}"


def _prepared(row: Row, settings: Settings, blobs: BlobStore) -> PreparedPost | None:
    if row["text"] is None and row["has_text"]:
        return None  # `covla housekeeping` leaves null in place of a text
    post = SocialPost(
        post_id=row["post_id"],
        created_at=row["event_timestamp"],
        text=row["text"] or "",
        lang=None if row["lang"] == "und" else row["lang"],
        image=Image(uri=row["image_uri"]) if row["has_image"] else None,
    )
    try:
        return prepare(post, settings, blobs)
    except PostError as error:
        if error.code != "missing_blob":
            log.warning("post %s cannot be encoded again: %s", post.post_id, error)
        return None
    except OSError as error:
        raise ServiceUnavailable(f"the blob store does not answer: {error}") from error
