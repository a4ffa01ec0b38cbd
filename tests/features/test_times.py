"""A lake and an online store that hold times that cannot be are read past, with a count."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from covla.posts.taxonomy import load_taxonomy
from covla.settings import Settings
from covla.time_range import TimeRange
from covla.times import now
from features.export import export
from features.feature_store import feature_store
from features.hashtags import history
from features.lake import Lake
from features.online import post_features
from features.online_store import Times
from features.rebuild import rebuild
from features.sink import write_online
from features.tables import HASHTAGS, POSTS
from features.times import passed_over
from features.training_set import training_set
from features.validation import validate
from monitoring.rows import window_rows
from tests.features.old_rows import IMPOSSIBLE, label_row, post_row, put

pytestmark = pytest.mark.slow


def today() -> TimeRange:
    return TimeRange(now() - timedelta(days=1), now() + timedelta(minutes=1))


def old_lake(settings: Settings) -> None:
    """Twelve labelled posts of the last hour, and one post and label of each impossible time."""
    at = now() - timedelta(hours=1)
    odd = list(enumerate(IMPOSSIBLE, 100))
    put(
        settings,
        [post_row(i, at + timedelta(minutes=i)) for i in range(12)]
        + [post_row(i, when) for i, when in odd],
        [label_row(i, at + timedelta(minutes=20)) for i in range(11)]
        + [label_row(i, when) for i, when in odd]
        + [label_row(11, IMPOSSIBLE[0])],
    )


def as_before(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, view: str, rows: pa.Table
) -> None:
    """Write to the online store as an earlier release did: without a bound."""
    with monkeypatch.context() as patch:
        patch.setattr(Times, "possible", lambda *_: True)
        write_online(feature_store(settings), view, rows)


def prior_online(settings: Settings, tags: Sequence[str]) -> list[Any]:
    rows = [{"hashtag": tag} for tag in tags]
    store = feature_store(settings)
    return list(store.get_online_features(["hashtag:prior"], rows).to_dict()["prior"])


def test_a_post_of_2099_is_never_the_newest_of_its_hashtag(
    stores: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    zeros = [0.0] * len(load_taxonomy().names)
    future = datetime(2099, 1, 1, microsecond=1, tzinfo=UTC)
    stuck = {"event_timestamp": future, "created_timestamp": now(), "posts": 1, "labelled": 0}
    rows = [stuck | {"hashtag": tag, "prior": zeros} for tag in ("legday", "alone")]
    as_before(monkeypatch, stores, "hashtag", pa.Table.from_pylist(rows, schema=HASHTAGS))
    assert prior_online(stores, ["legday", "alone"]) == [None, None]

    old_lake(stores)
    (row,) = history(stores, as_of=now(), latest=True).to_pylist()
    share = row["prior"][load_taxonomy().names.index("gym_sports")]
    assert (row["posts"], row["labelled"], share) == (12, 11, 1.0)
    write_online(feature_store(stores), "hashtag", history(stores, as_of=now(), latest=True))
    assert prior_online(stores, ["legday", "alone"]) == [row["prior"], None]

    as_before(monkeypatch, stores, "hashtag", pa.Table.from_pylist(rows, schema=HASHTAGS))
    counts = rebuild(stores)
    assert counts.passed_over == {"posts": 5, "labels": 6}
    assert counts.rows["post_content"] == 12
    assert prior_online(stores, ["legday", "alone"]) == [row["prior"], None]


def test_one_odd_row_online_does_not_hide_its_neighbours(
    stores: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    old_lake(stores)
    rebuild(stores)
    # What Feast can write at all; the last second of 9999 is the year 10000 once it is read.
    odd = [post_row(200 + i, when) for i, when in enumerate(IMPOSSIBLE)]
    table = pa.Table.from_pylist(odd, schema=POSTS)
    for i in range(len(odd)):
        try:
            as_before(monkeypatch, stores, "post_quality", _view(table.slice(i, 1)))
        except (ValueError, OverflowError):
            continue
    values = feature_store(stores).get_online_features(
        ["post_quality:text_words"], [{"post_id": name} for name in ("p202", "p1", "p201")]
    )
    assert values.to_dict()["text_words"] == [None, 0.5, None]
    assert "passed over" in caplog.text
    assert post_features(stores, "p1")["label"] == "gym_sports"
    assert post_features(stores, "p102") == {}


def _view(rows: pa.Table) -> pa.Table:
    from features.definitions import POST_VIEWS
    from features.sink import KEYS

    return rows.select([*KEYS, *POST_VIEWS["post_quality"][1]])


def test_every_reader_of_an_old_lake_passes_them_over(
    offline_settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old_lake(offline_settings)
    odd = {"posts": 5, "labels": 6}
    assert passed_over(offline_settings) == odd
    assert "passed over" in caplog.text
    frame = training_set(today(), offline_settings)
    assert len(frame) == 12
    assert frame.attrs["passed_over"] == odd
    assert frame["label"].tolist() == ["gym_sports"] * 11 + [
        None
    ]  # its only label is of the year 1
    wide = TimeRange.parse("2000-01-01T00:00:00Z/2199-01-01T00:00:00Z")
    assert len(training_set(wide, offline_settings)) == 12
    assert len(window_rows(wide, offline_settings)) == 12
    assert validate(wide, offline_settings).passed_over == odd
    out = export(today(), offline_settings, tmp_path / "set.parquet")
    assert (out.rows, out.passed_over) == (12, odd)
    assert pq.read_table(tmp_path / "set.parquet").num_rows == 12
    assert Lake(offline_settings).compact(wide)["files_after"] > 0


def test_a_lake_without_such_rows_counts_none(offline_settings: Settings) -> None:
    put(offline_settings, [post_row(1, now())], [])
    assert passed_over(offline_settings) == {}


def test_an_event_some_minutes_ahead_is_taken(offline_settings: Settings) -> None:
    """Clocks of producers run ahead: the bound of the wire is the bound of the readers."""
    put(offline_settings, [post_row(1, now() + timedelta(minutes=10))], [])
    assert history(offline_settings, as_of=now(), latest=True)["posts"].to_pylist() == [1]


def test_the_clock_of_a_post_needs_no_date_of_pandas(
    offline_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = post_row(1, now(), posted_at=253_402_300_799_999_999, text="the year 9999")
    put(offline_settings, [row], [])
    rebuild(offline_settings)
    assert post_features(offline_settings, "p1")["weekday_sin"] == pytest.approx(-0.9749, abs=1e-4)
