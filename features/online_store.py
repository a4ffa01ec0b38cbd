"""Feast's SQLite and Redis stores, with one rule more: the newest event time of a key wins.

Feast 0.67 lets a late row overwrite a newer one in SQLite (feast#5163), and on Redis refuses a
corrected row that has the same time (feast#2795). Here an older row never lands, and an equally
old one does, on both, however many workers write: what is there is read and replaced in one
transaction (SQLite) or under a lock of the view (Redis).
"""

import sqlite3
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from google.protobuf.timestamp_pb2 import Timestamp  # type: ignore[import-untyped]
from redis.backoff import ConstantBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import LockNotOwnedError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from features.feast_api import (
    RedisOnlineStore as FeastRedis,
)
from features.feast_api import (
    RedisOnlineStoreConfig as FeastRedisConfig,
)
from features.feast_api import (
    SqliteOnlineStore as FeastSqlite,
)
from features.feast_api import (
    SqliteOnlineStoreConfig as FeastSqliteConfig,
)
from features.feast_api import feast_redis, serialize_entity_key

Row = tuple[Any, dict[str, Any], datetime, datetime | None]
# A writer that was held up until its lock ran out has to write again.
UNREACHABLE = (RedisConnectionError, RedisTimeoutError, LockNotOwnedError)
LOCK_SECONDS = 20  # what a killed writer holds up the others; a batch takes a fraction of one
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def microseconds(at: datetime | None) -> int:
    """Since 1970; a time without zone is UTC, as everywhere in Feast's stores."""
    if at is None:
        return -(2**62)
    aware = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    return (aware - EPOCH) // timedelta(microseconds=1)


def newest(
    rows: Sequence[Row], keys: Sequence[bytes], stored: dict[bytes, int]
) -> dict[bytes, Row]:
    """The newest row of each key, by event time and then by created time, unless what is stored
    (key -> microseconds) is newer still. Of equal rows the later in order wins."""
    best: dict[bytes, Row] = {}
    for key, row in zip(keys, rows, strict=True):
        age = microseconds(row[2]), microseconds(row[3])
        if key in stored and age[0] < stored[key]:
            continue
        now = best.get(key)
        if now is None or age >= (microseconds(now[2]), microseconds(now[3])):
            best[key] = row
    return best


class SqliteOnlineStoreConfig(FeastSqliteConfig):  # type: ignore[misc]
    """As Feast's."""

    type: Literal["features.online_store.SqliteOnlineStore"] = (
        "features.online_store.SqliteOnlineStore"
    )


class SqliteOnlineStore(FeastSqlite):  # type: ignore[misc]
    """One file; readers and one writer at the same time (write-ahead log)."""

    def _get_conn(self, config: Any) -> Any:
        if not self._conn:
            connection = super()._get_conn(config)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute("PRAGMA busy_timeout=30000")
            # Feast keeps event times in whole seconds; two versions of a post may share one.
            connection.execute(
                "CREATE TABLE IF NOT EXISTS covla_event_times (view TEXT, entity_key BLOB, "
                "microseconds INTEGER, PRIMARY KEY (view, entity_key)) WITHOUT ROWID"
            )
        return self._conn

    def online_write_batch(
        self, config: Any, table: Any, data: list[Row], progress: Callable[[int], Any] | None
    ) -> None:
        """Write what is not older than what is there."""
        version = config.entity_key_serialization_version
        keys = [serialize_entity_key(row[0], version) for row in data]
        connection = self._get_conn(config)
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            kept = newest(data, keys, _stored(connection, table.name, keys))
            connection.executemany(
                "INSERT OR REPLACE INTO covla_event_times VALUES (?, ?, ?)",
                [(table.name, key, microseconds(row[2])) for key, row in kept.items()],
            )
            # Feast's rows join the transaction, and Feast commits it.
            super().online_write_batch(config, table, list(kept.values()), progress)

    def update(self, config: Any, tables_to_delete: Sequence[Any], *args: Any, **kw: Any) -> None:
        """As Feast's; the event times of removed views go with them."""
        super().update(config, tables_to_delete, *args, **kw)
        with self._get_conn(config) as connection:
            connection.executemany(
                "DELETE FROM covla_event_times WHERE view = ?",
                [(t.name,) for t in tables_to_delete],
            )


def _stored(connection: sqlite3.Connection, view: str, keys: Sequence[bytes]) -> dict[bytes, int]:
    found: dict[bytes, int] = {}
    for first in range(0, len(keys), 500):
        part = keys[first : first + 500]
        marks = ",".join("?" * len(part))
        query = (
            "SELECT entity_key, microseconds FROM covla_event_times "  # noqa: S608
            f"WHERE view = ? AND entity_key IN ({marks})"
        )
        found |= dict(connection.execute(query, [view, *part]))
    return found


class RedisOnlineStoreConfig(FeastRedisConfig):  # type: ignore[misc]
    """As Feast's, whose own check of times is off: ours stands in its place."""

    type: Literal["features.online_store.RedisOnlineStore"] = (
        "features.online_store.RedisOnlineStore"
    )
    skip_dedup: bool = True


class RedisOnlineStore(FeastRedis):  # type: ignore[misc]
    """Redis or Valkey. A server that is away is noticed in a second: what then happens is for the
    caller to say, serving goes on without and ingest waits."""

    def _get_client(self, online_store_config: Any) -> Any:
        if not self._client:
            super()._get_client(online_store_config).set_retry(Retry(ConstantBackoff(0.05), 1))
        return self._client

    def online_write_batch(
        self, config: Any, table: Any, data: list[Row], progress: Callable[[int], Any] | None
    ) -> None:
        """Write what is not older than what is there."""
        version = config.entity_key_serialization_version
        keys = [
            feast_redis._redis_key(config.project, row[0], entity_key_serialization_version=version)
            for row in data
        ]
        field = f"_ts:{feast_redis._versioned_fv_name(table, config)}"
        client = self._get_client(config.online_store)
        with client.lock(f"{config.project}:{table.name}:writer", timeout=LOCK_SECONDS):
            with client.pipeline(transaction=False) as pipe:
                for key in keys:
                    pipe.hget(key, field)
                found = pipe.execute()
            stored = {key: _time(raw) for key, raw in zip(keys, found, strict=True) if raw}
            kept = newest(data, keys, stored)
            super().online_write_batch(config, table, list(kept.values()), progress)


def _time(raw: bytes) -> int:
    return int(Timestamp.FromString(raw).ToMicroseconds())
