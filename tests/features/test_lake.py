"""Files of the lake: replays, merging, compaction, a full disk."""

import fcntl
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from covla.errors import CovlaError
from covla.model.encoders import Encoders
from covla.settings import Settings
from covla.time_range import TimeRange
from features import lake as lake_module
from features.feature_store import feature_store
from features.lake import OFFSETS_PER_FILE, Lake, hour_of
from features.online import post_features
from features.rebuild import rebuild
from features.tables import LABELS, SCHEMAS
from features.training_set import training_set
from features.validation import validate
from tests.features.posts import make_label, make_post, store

START = datetime(2026, 5, 1, tzinfo=UTC)
DAY = TimeRange(START, START + timedelta(days=1))


def rows(offsets: list[int], created: datetime = START, label: str = "home") -> pa.Table:
    """Labels at offsets of one partition, half an hour apart."""
    return pa.Table.from_pylist(
        [
            {
                "post_id": f"p{offset}",
                "event_timestamp": START + timedelta(minutes=30 * (offset % 40)),
                "created_timestamp": created,
                "label": label,
                "source": "test",
                "topic": "t",
                "partition": 0,
                "offset": offset,
            }
            for offset in offsets
        ],
        schema=LABELS,
    )


def files(lake: Lake) -> dict[str, bytes]:
    return {
        str(path.relative_to(lake.root)): path.read_bytes()
        for path in sorted(lake.root.rglob("*.parquet"))
    }


def test_rows_lie_in_the_hour_of_their_event(offline_settings: Settings) -> None:
    lake = Lake(offline_settings)
    lake.append("labels", rows([0, 1, 2, OFFSETS_PER_FILE]))
    assert sorted(files(lake)) == [
        "labels/hour=20260501T00/t-0-000000000000.parquet",
        "labels/hour=20260501T01/t-0-000000000000.parquet",
        f"labels/{hour_of(START + timedelta(hours=12))}/t-0-{OFFSETS_PER_FILE:012d}.parquet",
    ]
    hour = TimeRange(START, START + timedelta(hours=1))
    assert lake.read("labels", hour, ["post_id"])["post_id"].to_pylist() == ["p0", "p1"]


def test_times_are_microseconds_in_utc(offline_settings: Settings) -> None:
    lake = Lake(offline_settings)
    lake.append("labels", rows([0]))
    (path,) = (offline_settings.lake / "labels").rglob("*.parquet")
    assert pq.read_schema(path).field("event_timestamp").type == pa.timestamp("us", tz="UTC")


@hypothesis_settings(max_examples=30, deadline=None)
@given(
    cuts=st.lists(st.integers(1, 19), max_size=4, unique=True),
    again=st.lists(st.integers(1, 19), max_size=4, unique=True),
)
def test_a_replay_cut_anywhere_gives_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], again: list[int]
) -> None:
    lake = Lake(Settings(state=tmp_path_factory.mktemp("lake")))
    for part in _parts(cuts):
        lake.append("labels", rows(part))
    before = files(lake)
    for part in _parts(again):
        lake.append("labels", rows(part, created=START + timedelta(days=3)))
    assert files(lake) == before
    assert lake.read("labels", DAY).num_rows == 20


def _parts(cuts: list[int]) -> list[list[int]]:
    edges = [0, *sorted(cuts), 20]
    return [list(range(a, b)) for a, b in pairwise(edges)]


def test_a_replay_with_better_values_replaces_them(offline_settings: Settings) -> None:
    lake = Lake(offline_settings)
    lake.append("labels", rows([0, 1]))
    lake.append("labels", rows([1], label="shop"))
    found = lake.read("labels", DAY)
    assert dict(zip(found["post_id"].to_pylist(), found["label"].to_pylist(), strict=True)) == {
        "p0": "home",
        "p1": "shop",
    }


def test_compaction_keeps_every_row_once(offline_settings: Settings) -> None:
    lake = Lake(offline_settings)
    offsets = [0, 1, OFFSETS_PER_FILE, OFFSETS_PER_FILE * 40]
    lake.append("labels", rows(offsets))
    before = lake.read("labels", DAY).sort_by("offset")
    done = lake.compact(DAY)
    assert done["files_after"] < done["files_before"]
    assert lake.read("labels", DAY).sort_by("offset") == before
    lake.append("labels", rows(offsets, created=START + timedelta(days=1)))  # a replay, later
    lake.compact(DAY)
    assert lake.read("labels", DAY).sort_by("offset") == before


def test_a_full_disk_is_one_clear_error_and_no_half_file(
    offline_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake(offline_settings)
    lake.append("labels", rows([0]))
    before = files(lake)
    real = pq.write_table

    def full(table: pa.Table, where: Path, **options: object) -> None:
        real(table, where, **options)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(lake_module.pq, "write_table", full)
    with pytest.raises(CovlaError, match=r"No space left.*Free some space"):
        lake.append("labels", rows([0, 1]))
    assert files(lake) == before
    assert not list(offline_settings.lake.rglob("*.part"))


def test_one_writer_a_table(offline_settings: Settings) -> None:
    lake = Lake(offline_settings)
    lake.create()
    with (lake.root / ".labels.lock").open("w") as held, ThreadPoolExecutor(1) as pool:
        fcntl.flock(held, fcntl.LOCK_EX)  # as a worker of any earlier version does
        waits = pool.submit(lake.append, "labels", rows([0]))
        lake.put("quarantine", SCHEMAS["quarantine"].empty_table(), "another table")
        with pytest.raises(TimeoutError):
            waits.result(timeout=0.3)
        assert lake.read("labels", DAY).num_rows == 0
        fcntl.flock(held, fcntl.LOCK_UN)
        assert waits.result(timeout=10) == 1
    assert lake.read("labels", DAY).num_rows == 1


def test_an_empty_lake_can_be_read(offline_settings: Settings) -> None:
    lake = Lake(offline_settings)
    assert lake.read("posts", DAY).num_rows == 0
    lake.create()
    assert lake.read("posts", DAY, ["post_id"]).num_rows == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["my 100% stäte #1 [a]?", "'\"%20{b}; a:b,[!x]"])
def test_every_reader_finds_the_rows_whatever_the_folders_name(
    tmp_path: Path, encoders: Encoders, name: str
) -> None:
    settings = Settings(state=tmp_path / name)
    other = Settings(state=tmp_path / "my 100% stäte #1 ax")  # what a pattern would find too
    store(other, encoders, [make_post(9)])
    posts = [make_post(i) for i in range(1, 4)]
    store(settings, encoders, posts, [make_label("p1")])
    found = training_set(DAY, settings)
    assert sorted(found["post_id"]) == ["p1", "p2", "p3"]
    assert found.set_index("post_id")["label"]["p1"] == "restaurant_cafe"
    assert post_features(settings, "p2")["text"] == posts[1].text
    feature_store.cache_clear()
    assert rebuild(settings).rows
    assert post_features(settings, "p2")["text"] == posts[1].text
    assert validate(DAY, settings).rows == 3
    assert {path.name for path in tmp_path.iterdir()} == {name, other.state.name}
