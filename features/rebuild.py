"""The online store from the lake, hour by hour, so that memory stays bounded (feast#5713)."""

from dataclasses import dataclass

import pyarrow as pa

from covla.settings import Settings
from covla.times import now
from features.definitions import POST_VIEWS
from features.feature_store import feature_store
from features.sink import KEYS, write_hashtag_table, write_online
from features.snapshot import snapshot
from features.times import POSSIBLE, bounds, connect, passed_over

CHUNK = 10_000


@dataclass(frozen=True)
class Rebuilt:
    """What was written online, and what was left out."""

    rows: dict[str, int]  # of each view
    passed_over: dict[str, int]  # table of the lake -> rows whose time cannot be

    def as_dict(self) -> dict[str, int | dict[str, int]]:
        """The JSON document: views beside `passed_over`."""
        return {**self.rows, "passed_over": self.passed_over}


def rebuild(settings: Settings) -> Rebuilt:
    """Write the last version of every post, label and hashtag to the online store.

    A corrected row of the same event time replaces the old one (feast#2795). Safe while ingest
    runs: an older row never overwrites a newer one. Rows whose time cannot be are left out, and
    what was written online from such rows before is overwritten.

    Raises:
        ServiceUnavailable: the online store does not answer.
    """
    store = feature_store(settings)
    counts: dict[str, int] = {}
    tables = {table for table, _, online in POST_VIEWS.values() if online}
    with snapshot(settings, *tables) as files, connect() as database:
        database.execute("set memory_limit = '1GB'")
        for view, (table, features, online) in POST_VIEWS.items():
            if not online:
                continue
            columns = ", ".join([*KEYS, *features])
            batches = database.sql(
                f"select {columns} from read_parquet($files, hive_partitioning=false) "  # noqa: S608
                f"where {POSSIBLE} qualify row_number() over (partition by post_id "
                "order by event_timestamp desc, created_timestamp desc) = 1",
                params={"files": files[table], **bounds(settings)},
            ).to_arrow_reader(CHUNK)
            counts[view] = 0
            for batch in batches:
                rows = pa.Table.from_batches([batch])
                if rows.num_rows:
                    write_online(store, view, rows)
                    counts[view] += rows.num_rows
    rows = write_hashtag_table(settings, now())
    if rows.num_rows:
        write_online(store, "hashtag", rows)
    counts["hashtag"] = rows.num_rows
    return Rebuilt(counts, passed_over(settings))
