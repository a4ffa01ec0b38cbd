"""Feast's SQLite and Redis stores, with two rules more: the newest event time of a key wins, and
a row whose time cannot be counts as none, whether it is written, read or found in place.

Feast 0.67 lets a late row overwrite a newer one in SQLite (feast#5163), and on Redis refuses a
corrected row that has the same time (feast#2795). Here an older row never lands, and an equally
old one does, on both, however many workers write: what is there is read and replaced in one
transaction (SQLite) or under a lock of the view (Redis).
"""

import logging
import sqlite3
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from google.protobuf.timestamp_pb2 import Timestamp  # type: ignore[import-untyped]
from pydantic import AwareDatetime, BaseModel
from redis.backoff import ConstantBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from covla.times import now
from features import feast_api
from features.feast_api import feast_redis, serialize_entity_key

Row = tuple[Any, dict[str, Any], datetime, datetime | None]
# Away, full, loading, read-only, or a writer that was delayed until its lock ran out: each of them
# is tried again.
UNREACHABLE = (RedisError,)
LOCK_SECONDS = 20  # what a killed writer delays the others; a batch takes a fraction of one
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

PASSED_OVER = "online store: passed over %d rows with a time that cannot be"

log = logging.getLogger(__name__)


class Times(BaseModel):
    """Which times a row may have: part of the configuration of both stores."""

    earliest_time: AwareDatetime = datetime(2000, 1, 1, tzinfo=UTC)
    future_minutes: int = 15

    def possible(self, at: int) -> bool:
        """Whether microseconds since 1970 are a time that a row can have now."""
        latest = now() + timedelta(minutes=self.future_minutes)
        return microseconds(self.earliest_time) <= at <= microseconds(latest)


def microseconds(at: datetime | None) -> int:
    """Since 1970; a time without zone is UTC, as everywhere in Feast's stores."""
    if at is None:
        return -(2**62)
    aware = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    return (aware - EPOCH) // timedelta(microseconds=1)


def newest(
    rows: Sequence[Row], keys: Sequence[bytes], stored: dict[bytes, int], times: Times
) -> dict[bytes, Row]:
    """The newest row of each key, by event time and then by created time, unless what is stored
    (key -> microseconds) is newer still. Of equal rows the later in order wins.

    A row of 2099 would stay the newest for ever: it is left out, and replaced where it is stored.
    """
    best: dict[bytes, Row] = {}
    left_out = 0
    for key, row in zip(keys, rows, strict=True):
        age = microseconds(row[2]), microseconds(row[3])
        if not times.possible(age[0]):
            left_out += 1
            continue
        if key in stored and times.possible(stored[key]) and age[0] < stored[key]:
            continue
        other = best.get(key)
        if other is None or age >= (microseconds(other[2]), microseconds(other[3])):
            best[key] = row
    if left_out:
        log.warning("online store: %d rows with a time that cannot be were not written", left_out)
    return best


class SqliteOnlineStoreConfig(feast_api.SqliteOnlineStoreConfig, Times):  # type: ignore[misc]
    """As Feast's."""

    type: Literal["features.online_store.SqliteOnlineStore"] = (
        "features.online_store.SqliteOnlineStore"
    )


class SqliteOnlineStore(feast_api.SqliteOnlineStore):  # type: ignore[misc]
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
            stored = _stored(connection, table.name, keys)
            kept = newest(data, keys, stored, config.online_store)
            connection.executemany(
                "INSERT OR REPLACE INTO covla_event_times VALUES (?, ?, ?)",
                [(table.name, key, microseconds(row[2])) for key, row in kept.items()],
            )
            # Feast's rows join the transaction, and Feast commits it.
            super().online_write_batch(config, table, list(kept.values()), progress)

    def online_read(
        self, config: Any, table: Any, entity_keys: list[Any], *args: Any, **kw: Any
    ) -> Any:
        """As Feast's; a row whose time cannot be is read as none: Feast would fail at the year
        10000, and with it the neighbours."""
        version = config.entity_key_serialization_version
        keys = [serialize_entity_key(key, version) for key in entity_keys]
        stored = _stored(self._get_conn(config), table.name, keys)
        times = config.online_store
        odd = {key for key, at in stored.items() if not times.possible(at)}
        if not odd:
            return super().online_read(config, table, entity_keys, *args, **kw)
        log.warning(PASSED_OVER, len(odd))
        taken = [name for name, key in zip(entity_keys, keys, strict=True) if key not in odd]
        rows = iter(super().online_read(config, table, taken, *args, **kw))
        return [(None, None) if key in odd else next(rows) for key in keys]

    def update(self, config: Any, tables_to_delete: Sequence[Any], *args: Any, **kw: Any) -> None:
        """As Feast's; the event times of removed views go with them."""
        super().update(config, tables_to_delete, *args, **kw)
        with self._get_conn(config) as connection:
            connection.executemany(
                "DELETE FROM covla_event_times WHERE view = ?",
                [(t.name,) for t in tables_to_delete],
            )


def _stored(connection: sqlite3.Connection, view: str, keys: Sequence[bytes]) -> dict[bytes, int]:
    stored: dict[bytes, int] = {}
    for first in range(0, len(keys), 500):
        part = keys[first : first + 500]
        marks = ",".join("?" * len(part))
        query = (
            "SELECT entity_key, microseconds FROM covla_event_times "  # noqa: S608
            f"WHERE view = ? AND entity_key IN ({marks})"
        )
        stored |= dict(connection.execute(query, [view, *part]))
    return stored


class RedisOnlineStoreConfig(feast_api.RedisOnlineStoreConfig, Times):  # type: ignore[misc]
    """As Feast's, whose own check of times is off: ours stands in its place."""

    type: Literal["features.online_store.RedisOnlineStore"] = (
        "features.online_store.RedisOnlineStore"
    )
    skip_dedup: bool = True


class RedisOnlineStore(feast_api.RedisOnlineStore):  # type: ignore[misc]
    """Redis or Valkey. A server that is away is noticed in a second: the caller decides what
    then happens: serving goes on without, and ingest waits."""

    _times: Times | None = None

    def _get_client(self, online_store_config: Any) -> Any:
        self._times = online_store_config
        if not self._client:
            super()._get_client(online_store_config).set_retry(Retry(ConstantBackoff(0.05), 1))
        return self._client

    def _get_features_for_entity(
        self, values: Sequence[Any], feature_view: str, requested_features: list[str]
    ) -> Any:
        """As Feast's; a row whose time cannot be is read as none."""
        raw = values[requested_features.index(f"_ts:{feature_view}")]
        if raw and self._times is not None and not self._times.possible(_time(raw)):
            log.warning(PASSED_OVER, 1)
            values = [None] * len(values)
        return super()._get_features_for_entity(values, feature_view, requested_features)

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
                times = pipe.execute()
            stored = {key: _time(raw) for key, raw in zip(keys, times, strict=True) if raw}
            kept = newest(data, keys, stored, config.online_store)
            super().online_write_batch(config, table, list(kept.values()), progress)


def _time(raw: bytes) -> int:
    return int(Timestamp.FromString(raw).ToMicroseconds())
