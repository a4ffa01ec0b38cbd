"""Rows of an old lake whose time cannot be, such as the year 1 or 2099: read past, and counted.

New ones never come in (`covla.times`); what an earlier release let in stays where it is.
"""

import logging
from datetime import UTC, datetime, timedelta

import duckdb

from covla.settings import Settings
from covla.times import now
from features.snapshot import snapshot

POSSIBLE = "event_timestamp between $earliest and $latest"  # of a query with `bounds`
TABLES = ("posts", "labels", "teacher")

log = logging.getLogger(__name__)


def connect() -> duckdb.DuckDBPyConnection:
    """An empty database, whose times are UTC."""
    database = duckdb.connect()
    database.execute("set timezone = 'UTC'")
    return database


def bounds(settings: Settings, as_of: datetime | None = None) -> dict[str, datetime]:
    """Parameters of `POSSIBLE`: the times that an event could have at `as_of`, default now."""
    seen = now() if as_of is None else min(as_of.astimezone(UTC), now())
    latest = seen + timedelta(minutes=settings.future_minutes)
    return {"earliest": settings.earliest_time, "latest": latest}


def passed_over(settings: Settings) -> dict[str, int]:
    """Table -> rows whose time cannot be, which no reader takes; logged if there are any."""
    odd = {}
    with snapshot(settings, *TABLES) as files, connect() as database:
        for table in TABLES:
            row = database.execute(
                "select count(*) from read_parquet($files, hive_partitioning=false) "  # noqa: S608
                f"where not ({POSSIBLE})",
                {"files": files[table], **bounds(settings)},
            ).fetchone()
            if row and row[0]:
                odd[table] = int(row[0])
    if odd:
        counts = ", ".join(f"{rows} of {table}" for table, rows in odd.items())
        log.warning(
            "lake: passed over rows with a time before %s or in the future: %s",
            settings.earliest_time.isoformat(),
            counts,
        )
    return odd
