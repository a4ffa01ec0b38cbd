"""Real posts, a real lake and registry; towers of two models."""

import json
import logging
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from covla.errors import TooFew
from covla.model.encoders import Encoders
from covla.model.head import folder_encoders
from covla.registry.encoder_id import encoder_id
from covla.registry.model_folder import MANIFEST, write_manifest
from covla.registry.registry import Registry
from covla.settings import Settings
from covla.time_range import TimeRange
from covla.times import now
from features.export import export
from features.hashtags import history
from features.lake import Lake
from features.online import post_features
from features.reencode import PASSES, reencode, reencode_recent
from features.training_set import training_set
from monitoring.rows import window_rows
from tests.conftest import FreshState
from tests.covla.conftest import untrained_tiny
from tests.features.posts import START, make_label, make_post, store

pytestmark = pytest.mark.slow
DAY = TimeRange(START, START + timedelta(days=1))
LATER = datetime(2031, 1, 1, tzinfo=UTC)  # after every row of these tests was written
NUMBERS = 70  # minutes: two hours of the lake


def files_of(settings: Settings) -> dict[str, bytes]:
    paths = sorted((settings.lake / "posts").rglob("*.parquet"))
    return {path.relative_to(settings.lake).as_posix(): path.read_bytes() for path in paths}


@pytest.fixture
def filled(offline_settings: Settings, encoders: Encoders) -> Settings:
    """71 posts of `base`, some without image or text, one of them in two versions."""
    posts = [make_post(i, image=i % 3 > 0) for i in range(NUMBERS)]
    posts.append(make_post(0, image=False, text="edited #brunch", minutes=2.5))
    posts.append(make_post(99, text="", minutes=9))
    store(offline_settings, encoders, posts, [make_label("p1")])
    return offline_settings


def test_every_reader_takes_the_new_vectors_and_the_past_stays(
    filled: Settings, tiny_folder: Path, encoders: Encoders, tmp_path: Path
) -> None:
    then = now()
    old = training_set(DAY, filled).set_index("post_id")
    export(DAY, filled, tmp_path / "old.parquet", then)
    tags = history(filled, as_of=then)
    shown = post_features(filled, "p1")
    written = files_of(filled)

    seen: list[tuple[int, int]] = []
    done = reencode(DAY, str(tiny_folder), filled, progress=lambda n, all_: seen.append((n, all_)))
    tiny = encoder_id(tiny_folder)
    assert (done.posts, done.there, done.skipped, done.left) == (71, 0, 0, 0)
    assert done.encoder_id == tiny != encoders.id
    assert seen[-1] == (71, 71)
    assert written.items() <= files_of(filled).items()  # nothing is written over

    rows = window_rows(DAY, filled)
    assert set(rows["encoder_id"]) == {tiny}
    new = training_set(DAY, filled).set_index("post_id")
    assert set(new["encoder_id"]) == {tiny}
    vectors = ["text_embedding", "image_embedding"]
    for column in vectors:
        assert list(new[column].isna()) == list(old[column].isna())
        assert {len(v) for v in new[column].dropna()} != {len(v) for v in old[column].dropna()}
    rest = new.columns.difference([*vectors, "encoder_id"])
    for column in rest:
        assert list(map(str, new[column])) == list(map(str, old[column])), column
    assert new["text"]["p0"] == "edited #brunch"

    export(DAY, filled, tmp_path / "again.parquet", then)
    assert (tmp_path / "again.parquet").read_bytes() == (tmp_path / "old.parquet").read_bytes()
    assert history(filled, as_of=now()).equals(tags)
    assert post_features(filled, "p1") == shown  # nothing online depends on towers

    again = reencode(DAY, str(tiny_folder), filled)
    assert (again.posts, again.there) == (0, 71)
    Lake(filled).compact(DAY)
    assert set(window_rows(DAY, filled)["encoder_id"]) == {tiny}


def test_vectors_are_those_that_ingest_would_have_written(
    filled: Settings, tiny_folder: Path, fresh_state: FreshState, tmp_path: Path
) -> None:
    reencode(DAY, str(tiny_folder), filled)
    direct = Settings(state=fresh_state(tmp_path / "direct"))
    towers = folder_encoders(tiny_folder, direct)
    store(direct, towers, [make_post(i, image=i % 3 > 0) for i in range(1, NUMBERS)])
    made = window_rows(DAY, filled).set_index("post_id").drop(index=["p0", "p99"])
    ingested = window_rows(DAY, direct).set_index("post_id").loc[made.index]
    for column in made.columns.drop("created_timestamp"):
        assert list(map(str, made[column])) == list(map(str, ingested[column])), column


def test_a_version_of_an_older_release_is_known_by_its_weights(
    offline_settings: Settings, encoders: Encoders, tiny_folder: Path, tmp_path: Path
) -> None:
    old = tmp_path / "old"
    shutil.copytree(tiny_folder, old, ignore=shutil.ignore_patterns(MANIFEST))
    config = json.loads((old / "config.json").read_text())
    (old / "config.json").write_text(json.dumps(config | {"encoder_id": ""}))
    write_manifest(old)
    assert reencode(DAY, str(old), offline_settings).encoder_id is None  # no post, nothing loaded
    store(offline_settings, encoders, [make_post(1)])
    for posts in (1, 0):
        done = reencode(DAY, str(old), offline_settings)
        assert (done.posts, done.encoder_id) == (posts, encoder_id(tiny_folder))


def test_there_and_back_again_the_last_towers_count(filled: Settings, tmp_path: Path) -> None:
    one, two = (untrained_tiny(tmp_path / str(seed), seed) for seed in (1, 2))
    vectors: list[pd.Series] = []
    for folder in (one, two, one, two):
        assert reencode(DAY, str(folder), filled).posts == 71
        rows = window_rows(DAY, filled).set_index("post_id").sort_index()
        assert set(rows["encoder_id"]) == {encoder_id(folder)}
        vectors.append(rows["text_embedding"].dropna().map(tuple))
    assert vectors[0].equals(vectors[2])
    assert vectors[1].equals(vectors[3])
    assert not vectors[0].equals(vectors[1])


def test_a_run_that_was_cut_off_ends_with_the_bytes_of_one_that_was_not(
    filled: Settings, tiny_folder: Path, fresh_state: FreshState, tmp_path: Path
) -> None:
    other = Settings(state=fresh_state(tmp_path / "other"), blob_root=filled.blobs)
    shutil.copytree(filled.lake, other.lake)
    whole = reencode(DAY, str(tiny_folder), filled, as_of=LATER)
    for maximum, left in ((7, 64), (20, 44), (None, 0)):
        part = reencode(DAY, str(tiny_folder), other, as_of=LATER, maximum=maximum)
        assert part.left == left
    assert files_of(other) == files_of(filled)
    assert reencode(DAY, str(tiny_folder), filled, as_of=LATER).posts == 0
    assert files_of(other) == files_of(filled)
    assert (whole.posts, part.there) == (71, 27)


def test_posts_whose_text_or_image_is_gone_are_skipped_in_one_line(
    filled: Settings, tiny_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lake, blobs = Lake(filled), Path(filled.blobs.removeprefix("file://"))
    row = lake.read("posts", DAY, only=pa.array(["p4"])).to_pylist()[0]
    for path in blobs.rglob(f"{row['image_hash']}*"):
        path.unlink()
    for path in lake.root.glob("posts/hour=2*/*.parquet"):
        lake.rewrite("posts", path, _without_text_of_p3)
    with caplog.at_level(logging.WARNING):
        done = reencode(DAY, str(tiny_folder), filled)
    assert (done.posts, done.skipped) == (69, 2)
    assert [r.getMessage() for r in caplog.records if "skipped" in r.getMessage()] == [
        f"2 posts of {DAY} are skipped: their text or image is gone"
    ]
    old = window_rows(DAY, filled).set_index("post_id")["encoder_id"] != done.encoder_id
    assert set(old[old].index) == {"p3", "p4"}


def _without_text_of_p3(rows: pa.Table) -> pa.Table:
    texts = [None if r["post_id"] == "p3" else r["text"] for r in rows.to_pylist()]
    field = rows.schema.field("text")
    return rows.set_column(rows.schema.get_field_index("text"), field, pa.array(texts, field.type))


def test_of_the_last_days_what_came_meanwhile_is_encoded_too(
    offline_settings: Settings, encoders: Encoders, tiny_folder: Path
) -> None:
    settings = offline_settings.model_copy(update={"backfill_days": 2})
    with pytest.raises(TooFew, match="no champion yet"):
        reencode_recent("champion", settings)
    registry = Registry(settings)
    registry.promote(registry.register(tiny_folder), force=True)
    ago = (now() - START) / timedelta(minutes=1)
    posts = [make_post(i, minutes=ago - i, image=False) for i in range(300)]
    store(settings, encoders, [*posts, make_post(777, minutes=ago - 60 * 24 * 2 - 5)])
    late: list[bool] = []

    def progress(done: int, total: int) -> None:
        if not late:
            late.append(True)
            store(settings, encoders, [make_post(888, minutes=ago)], first=2000)

    done = reencode_recent("champion", settings, progress=progress)
    assert (done.posts, done.there, done.model_version) == (301, 0, "1")
    assert PASSES > 1
    everything = TimeRange(START, now())
    rows = window_rows(everything, settings).set_index("post_id")["encoder_id"]
    assert rows.pop("p777") == encoders.id
    assert set(rows) == {encoder_id(tiny_folder)}
