"""Real Kafka in; lake, blobs, online store and dead letters out."""

import base64
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import orjson
import pandas as pd
import pytest

from covla.kafka import clients, dead_letters
from covla.model.encoders import Encoders
from covla.posts.image_store import BlobStore
from covla.settings import Settings
from covla.time_range import TimeRange
from covla.times import now
from features.feature_store import feature_store
from features.ingest import Ingest, IngestStats
from features.lake import Lake
from features.online import post_features
from features.training_set import training_set
from tests.features.posts import START, make_label, make_post, picture
from tests.monitoring.live import predicted

pytestmark = pytest.mark.slow
DAY = TimeRange.parse("2026-05-01T00:00:00Z/2026-05-02T00:00:00Z")


def send(settings: Settings, topic: str, messages: Sequence[tuple[str, bytes | None]]) -> None:
    producer = clients.producer(settings)
    for future in [producer.send(topic, key=key.encode(), value=raw) for key, raw in messages]:
        future.get(timeout=30)
    producer.close()


def ingest(settings: Settings, encoders: Encoders, **options: Any) -> IngestStats:
    return Ingest(settings, encoders).run(**({"until_idle": 1.0} | options))


def letters(settings: Settings) -> list[dead_letters.DeadLetter]:
    topics = clients.Topics.of(settings)
    consumer = clients.consumer(settings, topics.dead_letters, group=None)
    found = []
    for _ in range(10):
        for part in consumer.poll(timeout_ms=500).values():
            found += [dead_letters.read(record) for record in part]
    consumer.close()
    return found


@pytest.fixture(params=["sqlite", "redis"])
def stores(request: pytest.FixtureRequest, settings: Settings) -> Settings:
    """Settings on each kind of online store."""
    if request.param == "sqlite":
        return settings
    address = request.getfixturevalue("valkey")
    return settings.model_copy(update={"online_store": "redis", "redis_url": address})


def test_posts_and_labels_reach_every_store(stores: Settings, encoders: Encoders) -> None:
    topics = clients.ensure_topics(stores)
    posts = [make_post(i, image=i % 3 > 0) for i in range(8)]
    send(stores, topics.posts, [(post.post_id, post.to_json()) for post in posts])
    send(stores, topics.labels, [("p1", make_label("p1").to_json())])

    totals = ingest(stores, encoders)

    assert (totals.posts_ingested, totals.labels_ingested, totals.dead_letters) == (8, 1, 0)
    frame = training_set(DAY, stores)
    assert list(frame["post_id"]) == [f"p{i}" for i in range(8)]
    assert frame["label"].fillna("").tolist() == ["", "restaurant_cafe"] + [""] * 6
    assert frame["has_image"].tolist() == [i % 3 > 0 for i in range(8)]
    stored = BlobStore(stores).read(frame["image_uri"][1])
    assert stored == base64.b64decode(picture(1))
    online = post_features(stores, "p1")
    assert online["text"] == posts[1].text
    assert online["label"] == "restaurant_cafe"
    assert "ann" not in orjson.dumps(online, default=str).decode()


def test_committed_predictions_reach_the_lake_and_odd_ones_are_dead_letters(
    settings: Settings, encoders: Encoders
) -> None:
    topics = clients.ensure_topics(settings)
    made = [predicted(f"p{i}", 0.5 + i / 100) for i in range(5)]
    without_label = predicted("odd", label="home").to_json().replace(b'"home":', b'"elsewhere":')
    producer = clients.producer(settings, transactional_id=f"{settings.topic_prefix}-test")
    producer.init_transactions()
    for commits in (False, True):
        producer.begin_transaction()
        for item in made:
            producer.send(topics.predictions, key=item.post_id.encode(), value=item.to_json())
        producer.send(topics.predictions, key=b"odd", value=without_label)
        producer.flush()
        if commits:
            producer.commit_transaction()
        else:
            producer.abort_transaction()
    producer.close()

    totals = ingest(settings, encoders)

    assert (totals.predictions_ingested, totals.dead_letters) == (5, 1)
    rows = Lake(settings).read("predictions", DAY).sort_by("post_id").to_pylist()
    assert [row["post_id"] for row in rows] == [item.post_id for item in made]
    assert [max(row["probabilities"]) for row in rows] == pytest.approx(
        [0.5 + i / 100 for i in range(5)]
    )
    assert [(letter.key, letter.error_class) for letter in letters(settings)] == [
        (b"odd", "unknown_label")
    ]
    # And Feast has them, for whoever joins by post.
    entities = pd.DataFrame({"post_id": ["p1"], "event_timestamp": [DAY.end]})
    job = feature_store(settings).get_historical_features(
        entities, features=["prediction:label", "prediction:model_version"]
    )
    assert job.to_arrow().to_pylist()[0]["model_version"] == "7"


def test_a_bad_message_becomes_a_dead_letter_and_its_neighbours_go_on(
    settings: Settings, encoders: Encoders
) -> None:
    sent = now() - timedelta(seconds=1)
    topics = clients.ensure_topics(settings)
    bad = {
        "a": b"{not json",
        "b": b"\xff\xfe\x00",
        "c": b'{"post_id": "c", "created_at": 5, "text": "x"}',
        "d": b'{"schema_version": 9, "post_id": "d", "created_at": "2026-05-01T00:00:00Z"}',
        "e": None,
        "f": b"[" * 100_000,
        "g": b'{"post_id":"g","created_at":"2026-05-01T00:00:00Z","image":{"data":"AAAA"}}',
    }
    good = make_post(1)
    send(settings, topics.posts, [*bad.items(), ("p1", good.to_json())])
    wrong = make_label("p1", "moon_base").to_json()
    send(settings, topics.labels, [("p1", wrong)])

    totals = ingest(settings, encoders)

    assert (totals.posts_ingested, totals.labels_ingested, totals.dead_letters) == (1, 0, 8)
    found = letters(settings)
    assert {letter.key: letter.value for letter in found if letter.value != wrong} == {
        key.encode(): raw for key, raw in bad.items()
    }
    stages = {letter.key: letter.stage for letter in found if letter.value != wrong}
    assert stages.pop(b"g") == "decode"
    assert set(stages.values()) == {"parse"}
    (label,) = [letter for letter in found if letter.value == wrong]
    assert (label.error_class, label.error_field, label.stage) == (
        "unknown_label",
        "label",
        "label",
    )
    kept = Lake(settings).read("dead_letters", TimeRange(sent, now())).to_pylist()
    reasons = sorted((row["stage"], row["error_code"]) for row in kept)
    assert reasons == sorted((letter.stage, letter.error_class) for letter in found)


def test_the_same_offsets_again_give_the_same_bytes(settings: Settings, encoders: Encoders) -> None:
    topics = clients.ensure_topics(settings)
    posts = [make_post(i) for i in range(12)]
    send(settings, topics.posts, [(post.post_id, post.to_json()) for post in posts])
    assert ingest(settings, encoders).posts_ingested == 12
    before = {p: p.read_bytes() for p in settings.lake.glob("posts/*/*.parquet")}

    # Another cut of the batches, as after a crash before the commit.
    consumer = clients.consumer(settings, topics.posts, group=f"{settings.topic_prefix}.ingest")
    while not consumer.assignment():
        consumer.poll(timeout_ms=100)
    consumer.commit({where: kafka_offset(0) for where in consumer.assignment()})
    consumer.close(autocommit=False)
    again = Ingest(settings, encoders)
    assert again.run(maximum=5).posts_ingested == 5
    assert ingest(settings, encoders).posts_ingested == 7

    assert {p: p.read_bytes() for p in settings.lake.glob("posts/*/*.parquet")} == before
    assert Lake(settings).read("posts", DAY).num_rows == 12


def kafka_offset(at: int) -> Any:
    from kafka import OffsetAndMetadata

    return OffsetAndMetadata(at, "", -1)


def test_a_run_takes_no_more_than_it_was_told_and_the_next_goes_on_there(
    settings: Settings, encoders: Encoders
) -> None:
    topics = clients.ensure_topics(settings)
    send(settings, topics.posts, [(f"p{i}", make_post(i).to_json()) for i in range(7)])
    assert ingest(settings, encoders, maximum=3).posts_ingested == 3
    # What is there comes first, however long the join and the first fetch take.
    assert ingest(settings, encoders, until_idle=0.0).posts_ingested == 4
    assert START  # the window below begins there
    assert len(training_set(DAY, settings)) == 7
