"""Texts of posts that came before their retention: nulled in the lake and in the online store."""

from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from covla.settings import Settings
from features.lake import FORMAT, Lake
from features.snapshot import in_lake, snapshot
from features.tables import SCHEMAS
from features.times import connect
from services.housekeeping.files import Freed


def expire_texts(settings: Settings, before: datetime, *, dry_run: bool = False) -> Freed:
    """Null the texts of rows that were written before a time; quality and embeddings stay.

    Returns:
        The files that were written anew, and by how much smaller they are.

    Raises:
        ServiceUnavailable: the lake cannot be written, or the online store does not answer.
    """
    freed = Freed()
    for path in _files_with_texts(settings, before):
        size = path.stat().st_size
        if dry_run:
            rows = pq.read_table(path, schema=SCHEMAS["posts"])
            buffer = pa.BufferOutputStream()
            pq.write_table(_without(rows, before), buffer, **FORMAT)
            freed += Freed(1, size - buffer.getvalue().size)
        else:
            _expire(path, settings, before)
            freed += Freed(1, size - path.stat().st_size)
    return freed


def _files_with_texts(settings: Settings, before: datetime) -> list[Path]:
    with snapshot(settings, "posts") as files, connect() as database:
        rows = database.execute(
            "select distinct filename from "
            "read_parquet($posts, hive_partitioning=false, union_by_name=true, filename=true) "
            "where coalesce(came_at, created_timestamp) < $before and text <> ''",
            {**files, "before": before},
        ).fetchall()
    return sorted(in_lake(name, settings) for (name,) in rows)


def _expire(path: Path, settings: Settings, before: datetime) -> None:
    # Feast and the encoders take seconds to import, and most weeks end without an old text.
    from features.definitions import CONTENT
    from features.feature_store import feature_store
    from features.sink import KEYS, write_online

    # Online first: after a kill between the two, the lake still says that there is work to do.
    rows = pq.read_table(path, schema=SCHEMAS["posts"])
    expired = _without(rows.filter(_old(rows, before)), before)
    write_online(feature_store(settings), "post_content", expired.select([*KEYS, *CONTENT]))
    Lake(settings).rewrite("posts", path, lambda now: _without(now, before))


def _old(rows: pa.Table, before: datetime) -> pa.ChunkedArray:
    has_text = pc.fill_null(pc.not_equal(rows["text"], ""), False)
    came = pc.coalesce(rows["came_at"], rows["created_timestamp"])
    return pc.and_(has_text, pc.less(came, pa.scalar(before)))


def _without(rows: pa.Table, before: datetime) -> pa.Table:
    """The rows, old texts null. An empty text stays: null stands for one that is gone."""
    texts = pc.if_else(_old(rows, before), pa.scalar(None, pa.string()), rows["text"])
    return rows.set_column(
        rows.schema.get_field_index("text"), SCHEMAS["posts"].field("text"), texts
    )
