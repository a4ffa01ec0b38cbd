"""Which files of the lake hold posts, and what is in them."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from covla.files import file_sum
from covla.registry.lineage import LakeFile
from covla.settings import Settings
from covla.times import now
from features.snapshot import in_lake, snapshot
from features.times import connect

TABLES = ("posts", "labels", "teacher")  # of a training set


def files_of_posts(
    post_ids: Iterable[str], settings: Settings, as_of: datetime | None = None
) -> list[LakeFile]:
    """The files with a row of these posts that was known at `as_of`, by path.

    Raises:
        OSError: a file cannot be read.
    """
    found: list[LakeFile] = []
    with snapshot(settings, *TABLES) as files, connect() as database:
        database.register("wanted", pa.table({"post_id": pa.array(sorted(post_ids), pa.string())}))
        for table in TABLES:
            rows = database.execute(
                "select distinct filename from read_parquet($files, hive_partitioning=false, "
                "filename=true) where created_timestamp <= $as_of "
                "and post_id in (select post_id from wanted)",
                {"files": files[table], "as_of": as_of or now()},
            ).fetchall()
            found += [lake_file(in_lake(name, settings), settings) for (name,) in rows]
    return sorted(found, key=lambda file: file.path)


def lake_file(path: Path, settings: Settings) -> LakeFile:
    """A file as it is now.

    Raises:
        OSError: it cannot be read.
    """
    return LakeFile(path.relative_to(settings.lake).as_posix(), file_sum(path))
