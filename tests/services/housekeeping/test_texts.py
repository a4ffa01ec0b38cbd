"""Texts expire while ingest writes to the same files."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import pyarrow.parquet as pq

from covla.settings import Settings
from covla.time_range import TimeRange
from features.lake import Lake
from services.housekeeping.texts import expire_texts
from tests.services.housekeeping.conftest import add_post

OLD = datetime(2025, 1, 1, tzinfo=UTC)
BEFORE = OLD + timedelta(days=1)


def test_rows_that_ingest_writes_meanwhile_are_all_there(tmp_path: Path) -> None:
    """Late posts of one old hour: the file of their hour and offsets is that of the old ones."""
    settings = Settings(state=tmp_path)
    lake = Lake(settings)
    lake.create()
    for number in range(5):
        add_post(settings, number, OLD)

    def ingest() -> None:
        for number in range(5, 40):
            add_post(settings, number, OLD, text=f"late {number}", written=BEFORE)

    writer = Thread(target=ingest)
    writer.start()
    freed = 0
    while writer.is_alive():
        freed += expire_texts(settings, BEFORE).files
        add_post(settings, 0, OLD)  # a replay brings a text back
    writer.join()
    expire_texts(settings, BEFORE)
    assert freed > 0
    rows = lake.read("posts", TimeRange(OLD, BEFORE)).to_pylist()
    texts = {row["offset"]: row["text"] for row in rows}
    assert texts == {n: None if n < 5 else f"late {n}" for n in range(40)}
    assert len(list(lake.root.glob("posts/hour=2025*/*.parquet"))) == 1


def test_a_text_that_was_encoded_again_goes_with_its_post(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path)
    lake = Lake(settings)
    lake.create()
    later = BEFORE + timedelta(days=1)
    add_post(settings, 1, OLD, again=later)
    add_post(settings, 2, OLD, written=BEFORE, again=later)
    assert expire_texts(settings, BEFORE).files == 2
    rows = lake.read("posts", TimeRange(OLD, BEFORE)).to_pylist()
    assert {row["post_id"]: row["text"] for row in rows} == {"p1": None, "p2": "at the bar"}
    assert [row["text"] for row in rows].count(None) == 2
    assert len(rows) == 4


def test_a_lake_of_an_earlier_release_expires_too(tmp_path: Path) -> None:
    """Its files lack the column came_at."""
    settings = Settings(state=tmp_path)
    lake = Lake(settings)
    lake.create()
    add_post(settings, 1, OLD)
    for path in lake.root.glob("posts/*/*.parquet"):
        pq.write_table(pq.read_table(path).drop_columns("came_at"), path)
    add_post(settings, 2000, OLD, again=BEFORE)
    assert expire_texts(settings, BEFORE).files == 3
    assert expire_texts(settings, BEFORE).files == 0
