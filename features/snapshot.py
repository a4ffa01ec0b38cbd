"""Tables of the lake as they are at one moment, for readers that open a file more than once.

DuckDB opens a Parquet file for its schema and again for its rows. Where a writer has renamed a new
file into its place between the two, the query fails ("don't know what type"), or reads one file by
the offsets of another. A snapshot holds hard links: the old file stays under the snapshot's name.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout

from covla.errors import ServiceUnavailable
from covla.settings import Settings
from features.lake import Lake, pattern

FOLDER = ".snapshots"


@contextmanager
def snapshot(settings: Settings, *tables: str) -> Iterator[dict[str, str]]:
    """Table -> what Feast and DuckDB read, a pattern of its files as they are now.

    Of each table it is one moment: no writer is between two files of it. Rows of two tables may be
    of moments some milliseconds apart. It costs a link a file, no copy.

    Raises:
        ServiceUnavailable: the disk of the lake is full, or knows no hard links.
    """
    lake = Lake(settings)
    lake.create()
    base = lake.root / FOLDER
    base.mkdir(exist_ok=True)
    _sweep(base)
    folder = base / uuid4().hex
    with FileLock(folder.with_suffix(".lock")) as held:
        try:
            for table in tables:
                with lake.locked(table):
                    _link(lake.root / table, folder / table)
            yield {table: pattern(folder, table) for table in tables}
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            Path(held.lock_file).unlink(missing_ok=True)


def in_lake(name: str, settings: Settings) -> Path:
    """The file of the lake that a file of a snapshot is, or was."""
    return settings.lake / Path(*Path(name).parts[-3:])


def _link(table: Path, folder: Path) -> None:
    try:
        for path in table.glob("*/*.parquet"):
            target = folder / path.relative_to(table)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.hardlink_to(path)
    except OSError as error:
        raise ServiceUnavailable(
            f"cannot link the lake's files at {table}: {error}",
            hint="Free some space, or set COVLA_STATE to a disk that knows hard links",
        ) from error


def _sweep(base: Path) -> None:
    """Remove what processes left that were killed: no lock of theirs is held any more."""
    for path in base.glob("*.lock"):
        try:
            with FileLock(path, timeout=0):
                shutil.rmtree(path.with_suffix(""), ignore_errors=True)
                path.unlink(missing_ok=True)
        except Timeout:
            continue
