"""The online store from the lake, hour by hour, so that memory stays bounded (feast#5713)."""

from typing import Any

import duckdb
import pyarrow as pa

from covla.settings import Settings
from covla.times import now
from features.definitions import POST_VIEWS
from features.feature_store import feature_store
from features.lake import Lake
from features.sink import KEYS, write_hashtag_table, write_online
from features.times import POSSIBLE, bounds, passed_over

CHUNK = 10_000


def rebuild(settings: Settings) -> dict[str, Any]:
    """Write the last version of every post, label and hashtag to the online store.

    A corrected row of the same event time replaces the old one (feast#2795). Safe while ingest
    runs: an older row never overwrites a newer one. Rows whose time cannot be are left out, and
    what was written online from such rows before is overwritten.

    Returns:
        View -> rows written, and `passed_over`: table of the lake -> rows left out.

    Raises:
        ServiceUnavailable: the online store does not answer.
    """
    store = feature_store(settings)
    lake = Lake(settings)
    counts: dict[str, Any] = {}
    with duckdb.connect() as engine:
        engine.execute("set timezone = 'UTC'; set memory_limit = '1GB'")
        for view, (table, features, online) in POST_VIEWS.items():
            if not online:
                continue
            columns = ", ".join([*KEYS, *features])
            found = engine.sql(
                f"select {columns} from read_parquet($files, hive_partitioning=false) "  # noqa: S608
                f"where {POSSIBLE} qualify row_number() over (partition by post_id "
                "order by event_timestamp desc, created_timestamp desc) = 1",
                params={"files": lake.glob(table), **bounds(settings)},
            ).to_arrow_reader(CHUNK)
            counts[view] = 0
            for batch in found:
                rows = pa.Table.from_batches([batch])
                if rows.num_rows:
                    write_online(store, view, rows)
                    counts[view] += rows.num_rows
    rows = write_hashtag_table(settings, now())
    if rows.num_rows:
        write_online(store, "hashtag", rows)
    counts["hashtag"] = rows.num_rows
    return counts | {"passed_over": passed_over(settings)}
