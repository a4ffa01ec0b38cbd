"""Point in time: what was not known is not there."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from covla.model.encoders import Encoders
from covla.posts.image_decoding import decode_image
from covla.posts.image_store import BlobStore
from covla.posts.preprocessing import prepare
from covla.posts.taxonomy import load_taxonomy
from covla.settings import Settings
from covla.time_range import TimeRange
from features.definitions import POST_VIEWS
from features.feature_store import feature_store
from features.online import OnlineContext
from features.rebuild import rebuild
from features.source import load_window, write_teacher
from features.training_set import training_set
from tests.features.old_rows import label_row, post_row, put
from tests.features.posts import START, make_label, make_post, store

pytestmark = pytest.mark.slow
DAY = TimeRange.parse("2026-05-01T00:00:00Z/2026-05-02T00:00:00Z")


def prior(**shares: float) -> list[float]:
    return [shares.get(name, 0.0) for name in load_taxonomy().names]


def test_a_row_that_was_written_later_does_not_leak(
    offline_settings: Settings, encoders: Encoders
) -> None:
    store(offline_settings, encoders, [make_post(1), make_post(2)], [make_label("p1")])
    then = datetime.now(UTC)
    before = training_set(DAY, offline_settings, then)
    # Late: older event times than what is there, written after `then`.
    store(
        offline_settings,
        encoders,
        [make_post(1, text="edited #brunch", minutes=1.5), make_post(3, minutes=0.5)],
        [make_label("p1", "shop", minutes=40), make_label("p2", minutes=1)],
        first=10,
    )
    after = training_set(DAY, offline_settings, then)
    for column in before.columns:
        assert list(map(str, before[column])) == list(map(str, after[column])), column
    today = training_set(DAY, offline_settings)
    assert today.set_index("post_id")["label"].to_dict() == {
        "p3": None,
        "p1": "shop",
        "p2": "restaurant_cafe",
    }
    assert today.set_index("post_id")["text"]["p1"] == "edited #brunch"


def test_a_post_belongs_to_the_window_of_its_last_version(
    offline_settings: Settings, encoders: Encoders
) -> None:
    store(offline_settings, encoders, [make_post(1), make_post(1, minutes=24 * 60 + 5)])
    next_day = TimeRange(DAY.end, DAY.end + timedelta(days=1))
    assert training_set(DAY, offline_settings).empty
    assert len(training_set(next_day, offline_settings)) == 1


def test_hashtags_are_worth_what_they_were_before_the_post(
    offline_settings: Settings, encoders: Encoders
) -> None:
    posts = [make_post(minutes=at, post_id=f"at{at}", image=False) for at in (0, 10, 20, 40)]
    labels = [
        make_label("at0", minutes=0),  # carries its post's own time
        make_label("at10", "shop", minutes=15),
        make_label("at20", minutes=60),
    ]
    store(offline_settings, encoders, posts, labels)
    frame = training_set(DAY, offline_settings).set_index("post_id")["hashtag_priors"]
    assert frame["at0"] == {}
    assert frame["at10"]["brunch"] == {
        "posts": 1,
        "labelled": 1,
        "prior": prior(restaurant_cafe=1.0),
    }
    half = prior(restaurant_cafe=0.5, shop=0.5)
    assert frame["at20"]["brunch"] == {"posts": 2, "labelled": 2, "prior": half}
    assert frame["at40"]["brunch"] == {"posts": 3, "labelled": 2, "prior": half}


def test_a_label_that_is_corrected_counts_once(
    offline_settings: Settings, encoders: Encoders
) -> None:
    store(
        offline_settings,
        encoders,
        [make_post(0), make_post(50)],
        [make_label("p0", "shop", minutes=10), make_label("p0", "home", minutes=20)],
    )
    frame = training_set(DAY, offline_settings).set_index("post_id")["hashtag_priors"]
    assert frame["p50"]["brunch"]["prior"] == prior(home=1.0)
    assert frame["p50"]["brunch"]["labelled"] == 1


def test_online_and_offline_agree_value_by_value(
    offline_settings: Settings, encoders: Encoders
) -> None:
    posts = [
        make_post(i, image=i % 2 > 0, text="" if i == 3 else f"no {i} #a #b") for i in range(6)
    ]
    posts.append(make_post(1, minutes=90, text="second version #c"))
    store(
        offline_settings, encoders, posts, [make_label("p2"), make_label("p2", "shop", minutes=9)]
    )
    # A late row: older than what is there.
    store(offline_settings, encoders, [make_post(1, minutes=0.1, text="late #late")], first=50)
    _check_parity(offline_settings)
    rebuild(offline_settings)
    _check_parity(offline_settings)


def _check_parity(settings: Settings) -> None:
    frame = training_set(DAY, settings)
    views = {view: features for view, (_, features, online) in POST_VIEWS.items() if online}
    online = (
        feature_store(settings)
        .get_online_features(
            features=[f"{view}:{name}" for view, names in views.items() for name in names],
            entity_rows=[{"post_id": post_id} for post_id in frame["post_id"]],
        )
        .to_dict()
    )
    assert len(frame) == 6
    for names in views.values():
        for name in names:
            offline = [_plain(value) for value in frame[name]]
            assert offline == [_plain(value) for value in online[name]], name
    tags = sorted({tag for tags in frame["hashtags"] for tag in tags})
    context = OnlineContext(settings)
    (known,) = context.priors([_tagged(tags, settings)])
    assert known is not None
    offline_tags = _latest_hashtags(settings)
    assert {tag: (list(row.prior), row.count) for tag, row in known.items()} == {
        tag: offline_tags[tag] for tag in tags
    }


def _latest_hashtags(settings: Settings) -> dict[str, tuple[list[float], float]]:
    from features.hashtags import history

    rows = history(settings, as_of=datetime.now(UTC), latest=True).to_pylist()
    return {row["hashtag"]: (row["prior"], float(row["posts"])) for row in rows}


def _tagged(tags: list[str], settings: Settings) -> Any:
    post = make_post(0, text=" ".join(f"#{tag}" for tag in tags), image=False, minutes=500)
    return prepare(post, settings, BlobStore(settings))


def _plain(value: Any) -> Any:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return None
    return list(value) if isinstance(value, np.ndarray | list) else value


def test_context_that_is_too_old_or_cannot_be_read_is_stale(
    offline_settings: Settings, encoders: Encoders, tmp_path: Path
) -> None:
    store(offline_settings, encoders, [make_post(0)])
    context = OnlineContext(offline_settings)
    blobs = BlobStore(offline_settings)
    fresh, old, bare = (
        prepare(post, offline_settings, blobs)
        for post in (
            make_post(60, image=False),
            make_post(minutes=60 * 24 * 40, image=False),
            make_post(60, image=False, text="no tag"),
        )
    )
    found, stale, none = context.priors([fresh, old, bare])
    assert found is not None
    assert found["brunch"].count == 1
    assert stale is None
    assert none == {}
    away = offline_settings.model_copy(
        update={"online_store": "redis", "redis_url": "127.0.0.1:9", "state": tmp_path / "away"}
    )
    assert OnlineContext(away).priors([fresh, bare]) == [None, {}]


def test_training_as_of_a_time_sees_what_was_there_and_the_vectors_of_that_time(
    offline_settings: Settings,
) -> None:
    as_of = DAY.end + timedelta(hours=1)
    there, late = {"created_timestamp": DAY.end}, {"created_timestamp": as_of + timedelta(hours=1)}
    labels = [label_row(1, DAY.start) | there, label_row(1, DAY.start, "home") | late]
    put(
        offline_settings,
        [post_row(1, DAY.start, **there), post_row(2, DAY.start, **late)],
        [*labels, label_row(2, DAY.start) | late],
    )
    vectors = {"p1": np.ones(3, np.float32)}
    assert write_teacher(DAY, vectors, "ensemble-1", offline_settings, as_of) == 1
    ((row,), _) = load_window(DAY, offline_settings, as_of)
    assert (row.post_id, row.label, row.teacher_id) == ("p1", "gym_sports", "ensemble-1")
    now = {row.post_id: row.label for row in load_window(DAY, offline_settings)[0]}
    assert now == {"p1": "home", "p2": "gym_sports"}


def test_training_reads_the_window_with_pictures_and_teacher(
    offline_settings: Settings, encoders: Encoders
) -> None:
    posts = [make_post(i, image=i % 2 > 0) for i in range(4)]
    store(offline_settings, encoders, posts, [make_label("p1", minutes=2), make_label("p2")])
    vectors = {"p1": np.arange(3, dtype=np.float32)}
    assert write_teacher(DAY, vectors, "ensemble-1", offline_settings) == 1
    first = {p: p.read_bytes() for p in (offline_settings.lake / "teacher").rglob("*-*.parquet")}
    write_teacher(DAY, {"p1": vectors["p1"] * 2}, "ensemble-1", offline_settings)
    assert len(list((offline_settings.lake / "teacher").rglob("*-*.parquet"))) == len(first) == 1

    other = {"p2": np.array([1, np.nan, 3, 4, 5], np.float32)}  # another teacher, another width
    write_teacher(DAY, other, "clip-1", offline_settings)

    found = {row.post_id: row for row in load_window(DAY, offline_settings)[0]}

    assert [row.label for row in found.values()] == [None, "restaurant_cafe"] * 1 + [
        "restaurant_cafe",
        None,
    ]
    assert found["p1"].teacher is not None
    assert found["p1"].teacher.tolist() == [0, 2, 4]
    assert found["p1"].teacher_id == "ensemble-1"
    assert found["p2"].teacher_id == "clip-1"
    np.testing.assert_array_equal(found["p2"].teacher, other["p2"])
    assert found["p3"].teacher is None
    assert found["p3"].teacher_id is None
    assert found["p3"].priors["brunch"].count == 3
    assert found["p0"].post.image is None
    assert found["p1"].post.author_id is None
    picture = found["p1"].post.image
    assert picture is not None
    blobs = BlobStore(offline_settings)
    content = blobs.read(picture.uri or "", derivative=True)
    served = prepare(posts[1], offline_settings, blobs).image
    assert np.array_equal(decode_image(content, offline_settings), served)
    assert found["p0"].post.created_at == START
