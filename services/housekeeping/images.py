"""Images that no post names which came within their retention."""

from datetime import datetime

import pyarrow as pa

from covla.posts.image_store import BlobStore, StoredImage
from covla.settings import Settings
from features.snapshot import snapshot
from features.times import connect
from services.housekeeping.files import Freed


def expire_images(settings: Settings, before: datetime, *, dry_run: bool = False) -> Freed:
    """Remove images that were last put before a time, unless a post that came later names them.

    Raises:
        OSError: the image store cannot be read.
    """
    blobs = BlobStore(settings)
    old = blobs.stored_before(before)
    named = _named(old, settings, before) if old else set()
    freed = Freed()
    for image in old:
        if image.sha in named and not image.is_draft:
            continue
        if dry_run or blobs.remove(image, before):
            freed += Freed(1, image.size)
    return freed


def _named(old: list[StoredImage], settings: Settings, since: datetime) -> set[str]:
    """Which of these images the posts name that came since a time."""
    candidates = pa.table({"sha": sorted({image.sha for image in old})})
    with snapshot(settings, "posts") as files, connect() as database:
        database.register("candidates", candidates)
        rows = database.execute(
            "select sha from candidates where sha in ("
            "select right(image_uri, 64) from "
            "read_parquet($posts, hive_partitioning=false, union_by_name=true) "
            "where coalesce(came_at, created_timestamp) >= $since and image_uri is not null)",
            {**files, "since": since},
        ).fetchall()
    return {sha for (sha,) in rows}
