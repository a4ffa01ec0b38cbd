"""Rows of the lake that name a post or a prediction, and the files that they are in."""

from typing import Any

from covla.settings import Settings
from features.snapshot import in_lake, snapshot
from features.tables import SCHEMAS
from features.times import connect

Row = dict[str, Any]

# Where a row came from and what it says; no text, no vector, no measure.
SHOWN = (
    "event_timestamp", "created_timestamp", "end", "window", "label", "source", "teacher_id",
    "encoder_id", "image_uri", "reasons", "blocked", "prediction_id", "model_version", "post_id",
    "topic", "partition", "offset",
)  # fmt: skip


def rows_of(table: str, column: str, value: str, settings: Settings) -> list[Row]:
    """What `SHOWN` has of the rows with this value, in order of their writing, and `file`, its
    path below the lake. [] for a table that this lake does not keep."""
    return select(table, f"{column} = $value", {"value": value}, settings)


def select(table: str, where: str, values: dict[str, Any], settings: Settings) -> list[Row]:
    """As `rows_of`, of the rows that a condition takes."""
    if table not in SCHEMAS:
        return []
    names = [name for name in SHOWN if name in SCHEMAS[table].names]
    columns = ", ".join(f'"{name}"' for name in names)
    with snapshot(settings, table) as files, connect() as database:
        rows = database.execute(
            f"select {columns}, filename from "  # noqa: S608
            "read_parquet($files, hive_partitioning=false, filename=true) "
            f"where {where} order by created_timestamp, filename",
            {"files": files[table], **values},
        ).fetchall()
    return [
        dict(zip(names, row[:-1], strict=True))
        | {"file": in_lake(row[-1], settings).relative_to(settings.lake).as_posix()}
        for row in rows
    ]
