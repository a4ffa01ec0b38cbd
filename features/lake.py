"""The lake: append-only Parquet in hour partitions of event time, `<lake>/<table>/hour=.../`.

Rows of a Kafka partition go to files that span a fixed range of offsets, named by topic, partition
and first offset of that range. So it does not matter where a replay cuts its batches: it meets its
own files again. A row that is already there keeps its created_timestamp; a replay of the same
offsets gives the same bytes.
"""

import glob
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from filelock import FileLock

from covla.errors import ServiceUnavailable
from covla.files import write_aside
from covla.settings import Settings
from covla.time_range import TimeRange
from covla.times import latest_time
from features.tables import SCHEMAS

OFFSETS_PER_FILE = 1024
FORMAT = {"compression": "zstd", "coerce_timestamps": "us"}  # of every file
SOURCE = ("topic", "partition", "offset")


class Lake:
    """Tables of `features.tables.SCHEMAS`; hashtags is derived from others."""

    def __init__(self, settings: Settings) -> None:
        self.root = settings.lake
        self.earliest = settings.earliest_time
        self.latest = partial(latest_time, settings)

    def glob(self, table: str) -> str:
        """A pattern of a table's files; one who reads while others write takes a `snapshot`."""
        return pattern(self.root, table)

    def create(self) -> None:
        """An empty file per table, so that a lake without rows can be read like any other."""
        for table, schema in SCHEMAS.items():
            path = self.root / table / "hour=0" / "empty.parquet"
            if not path.exists():
                write_parquet(schema.empty_table(), path)

    def append(self, table: str, rows: pa.Table) -> int:
        """Write rows that came from Kafka, by topic, partition, offset; returns files written.

        Raises:
            ServiceUnavailable: the disk is full, the folder cannot be written, or a file of it
                cannot be read; no half file is left.
        """
        groups: dict[tuple[str, str], list[int]] = defaultdict(list)
        hours = rows["event_timestamp"].to_pylist()
        places = zip(hours, *(rows[name].to_pylist() for name in SOURCE), strict=True)
        for i, (at, topic, partition, offset) in enumerate(places):
            first = offset - offset % OFFSETS_PER_FILE
            groups[hour_of(at), f"{topic}-{partition}-{first:012d}.parquet"].append(i)
        with self.locked(table):
            for (hour, name), indices in sorted(groups.items()):
                path = self.root / table / hour / name
                new = rows.take(indices)
                if path.exists():
                    new = _merged(_present(path, SCHEMAS[table]), new)
                write_parquet(new.sort_by("offset"), path)
        return len(groups)

    def put(self, table: str, rows: pa.Table, name: str) -> None:
        """Write rows that a step made, one file `name` an hour; a second run overwrites its own.

        Raises:
            ServiceUnavailable: as `append`.
        """
        hours = pa.array([hour_of(at) for at in rows["event_timestamp"].to_pylist()], pa.string())
        with self.locked(table):
            for hour in sorted(set(hours.to_pylist())):
                part = rows.filter(pc.equal(hours, hour))
                write_parquet(part, self.root / table / hour / f"{name}.parquet")

    def discard(self, table: str, window: TimeRange, name: str) -> None:
        """Remove the files that an earlier `put` of this name left in a time range's hours."""
        with self.locked(table):
            for folder in self._folders(table, window):
                (folder / f"{name}.parquet").unlink(missing_ok=True)

    def read(
        self,
        table: str,
        window: TimeRange,
        columns: list[str] | None = None,
        only: pa.Array | None = None,
    ) -> pa.Table:
        """The rows of a time range, by event time; duplicates of a replay included, rows whose time
        cannot be left out. `only` are the post ids to read."""
        files = [str(f) for d in self._folders(table, window) for f in sorted(d.glob("*.parquet"))]
        schema = SCHEMAS[table]
        if not files:
            table_ = schema.empty_table()
            return table_.select(columns) if columns else table_
        at = ds.field("event_timestamp")
        inside = (at >= pa.scalar(window.start)) & (at < pa.scalar(window.end))
        inside &= (at >= pa.scalar(self.earliest)) & (at <= pa.scalar(self.latest()))
        if only is not None:
            inside &= ds.field("post_id").isin(only)
        return ds.dataset(files, schema=schema).to_table(columns=columns, filter=inside)

    def rewrite(self, table: str, path: Path, change: Callable[[pa.Table], pa.Table]) -> None:
        """Put `change` of a file's rows in its place, while no writer has the table.

        Raises:
            ServiceUnavailable: as `append`.
        """
        with self.locked(table):
            write_parquet(change(_present(path, SCHEMAS[table])), path)

    def compact(self, window: TimeRange) -> dict[str, int]:
        """Merge each hour's small files into one; returns files before and after.

        A reader that listed an hour's files before may miss one after: run it when no training
        reads the time range. A crash on the way leaves rows twice, which readers expect.
        """
        before = after = 0
        for table in ("posts", "labels", "predictions"):
            with self.locked(table):
                for folder in self._folders(table, window):
                    files = sorted(folder.glob("*.parquet"))
                    before, after = before + len(files), after + 1
                    if len(files) > 1:
                        _merge_folder(files, SCHEMAS[table])
        return {"files_before": before, "files_after": after}

    def _folders(self, table: str, window: TimeRange) -> Iterator[Path]:
        first, last = hour_of(window.start), hour_of(window.end - timedelta(microseconds=1))
        base = self.root / table
        folders = sorted(base.iterdir()) if base.is_dir() else []
        return (d for d in folders if first <= d.name <= last)

    def locked(self, table: str) -> FileLock:
        """One writer a table: a worker that lost its partition must not undo its successor."""
        self.root.mkdir(parents=True, exist_ok=True)
        # Kept for milliseconds, and taken at every batch.
        return FileLock(self.root / f".{table}.lock", poll_interval=0.01)


def pattern(root: Path, table: str) -> str:
    """What Feast and DuckDB read: it stands for the files of this folder alone."""
    return str(Path(glob.escape(str(root))) / table / "*" / "*.parquet")


def hour_of(at: datetime) -> str:
    """The partition folder of an aware time."""
    return at.strftime("hour=%Y%m%dT%H")


def write_parquet(rows: pa.Table, path: Path) -> None:
    """Written aside and renamed.

    Raises:
        ServiceUnavailable: it cannot be written; nothing is left behind.
    """
    try:
        with write_aside(path) as draft:
            pq.write_table(rows, draft, **FORMAT)
    except OSError as error:
        raise ServiceUnavailable(
            f"cannot write to the lake at {path.parent}: {error}",
            hint="Free some space, or correct COVLA_STATE",
        ) from error


def _present(path: Path, schema: pa.Schema) -> pa.Table:
    try:
        return pq.read_table(path, schema=schema)
    except (pa.ArrowException, OSError) as error:
        raise ServiceUnavailable(
            f"the lake's file {path} cannot be read: {error}",
            hint="Move it away: `covla ingest` writes it anew when its posts are read again",
        ) from error


def _merged(old: pa.Table, new: pa.Table) -> pa.Table:
    """Old rows with other offsets, and the new rows under the time they were first written."""
    first = dict(zip(old["offset"].to_pylist(), old["created_timestamp"].to_pylist(), strict=True))
    pairs = zip(new["offset"].to_pylist(), new["created_timestamp"].to_pylist(), strict=True)
    created = pa.array(
        [first.get(offset, at) for offset, at in pairs], new.schema.field("created_timestamp").type
    )
    index = new.schema.get_field_index("created_timestamp")
    new = new.set_column(index, "created_timestamp", created)
    others = old.filter(pc.invert(pc.is_in(old["offset"], new["offset"].combine_chunks())))
    return pa.concat_tables([others, new])


def _merge_folder(files: Iterable[Path], schema: pa.Schema) -> None:
    paths = list(files)
    rows = pa.concat_tables([pq.read_table(path, schema=schema) for path in paths])
    rows = rows.sort_by([(name, "ascending") for name in (*SOURCE, "created_timestamp")])
    places = zip(*(rows[name].to_pylist() for name in SOURCE), strict=True)
    seen: set[tuple[str, int, int]] = set()
    keep = [not (place in seen or seen.add(place)) for place in places]  # type: ignore[func-returns-value]
    target = paths[0].with_name("compacted.parquet")
    write_parquet(rows.filter(pa.array(keep)), target)
    for path in paths:
        if path != target:
            path.unlink()
