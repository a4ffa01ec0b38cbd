"""Readers of the lake while others write, compact, or were killed."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread

import pytest

from covla.errors import ServiceUnavailable
from covla.settings import Settings
from covla.time_range import TimeRange
from features.lake import Lake
from features.snapshot import in_lake, snapshot
from features.times import connect
from features.training_set import training_set
from tests.services.housekeeping.conftest import add_post

AT = datetime(2025, 1, 1, tzinfo=UTC)
HOUR = TimeRange(AT, AT + timedelta(hours=1))


@contextmanager
def written_meanwhile(settings: Settings, step: Callable[[int], object]) -> Iterator[None]:
    """Steps 10, 11 and so on are taken by another thread for as long as the block runs."""
    ended = Event()

    def write() -> None:
        number = 10
        while not ended.is_set():
            step(number)
            number += 1

    writer = Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        ended.set()
        writer.join()


def offsets(settings: Settings) -> list[int]:
    with snapshot(settings, "posts") as files, connect() as database:
        rows = database.execute(
            'select "offset" from read_parquet($posts, hive_partitioning=false) order by all', files
        ).fetchall()
    return [offset for (offset,) in rows]


@pytest.mark.slow
def test_a_query_sees_one_moment_of_a_file_that_is_written_anew(tmp_path: Path) -> None:
    """DuckDB alone fails here within some ten queries, with "don't know what type"."""
    settings = Settings(state=tmp_path)
    for number in range(10):
        add_post(settings, number, AT)
    last = 0
    with written_meanwhile(settings, lambda n: add_post(settings, n % 500, AT, text=f"p {n}" * n)):
        for _ in range(25):
            seen = offsets(settings)
            assert seen == list(range(len(seen)))
            assert len(seen) >= last
            last = len(seen)
    assert last > 10


@pytest.mark.slow
def test_a_training_set_is_whole_while_its_hour_is_compacted(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path)
    for number in range(0, 8 * 1024, 1024):  # a file each
        add_post(settings, number, AT)

    def write(number: int) -> None:
        add_post(settings, 7 * 1024 + number % 5, AT)
        Lake(settings).compact(HOUR)

    with written_meanwhile(settings, write):
        for _ in range(3):
            found = set(training_set(HOUR, settings)["post_id"])
            assert found >= {f"p{number}" for number in range(0, 8 * 1024, 1024)}


def test_nothing_is_left_and_what_a_killed_process_left_goes(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path)
    add_post(settings, 1, AT)
    held = (
        "import os, signal; from covla.settings import Settings\n"
        "from features.snapshot import snapshot\n"
        "with snapshot(Settings(), 'posts'): os.kill(os.getpid(), signal.SIGKILL)"
    )
    environment = os.environ | {"COVLA_STATE": str(tmp_path)}
    subprocess.run([sys.executable, "-c", held], env=environment, check=False)
    folder = settings.lake / ".snapshots"
    assert len(list(folder.glob("*"))) == 2
    with snapshot(settings, "posts") as mine:
        assert offsets(settings) == [1]  # of a second one, which leaves mine alone
        (path,) = Path(mine["posts"]).parents[1].glob("hour=2*/*.parquet")
        assert in_lake(str(path), settings).samefile(path)
        assert len(list(folder.glob("*"))) == 2
    assert not list(folder.glob("*"))


def test_a_disk_without_hard_links_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise PermissionError(1, "Operation not permitted", str(self))

    settings = Settings(state=tmp_path)
    add_post(settings, 1, AT)
    monkeypatch.setattr(Path, "hardlink_to", refuse)
    with pytest.raises(ServiceUnavailable, match="cannot link the lake's files") as refused:
        offsets(settings)
    assert "hard links" in str(refused.value.hint)
    assert not list((settings.lake / ".snapshots").glob("*"))
