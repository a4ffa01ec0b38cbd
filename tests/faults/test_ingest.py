"""Several ingest workers on a fresh state folder, one killed: every post in every store, once."""

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from covla.kafka import clients
from covla.posts.folder import FolderPost
from covla.posts.synthetic.generate import generate
from covla.settings import Settings
from covla.time_range import TimeRange
from covla.times import now
from features.definitions import HASHTAG
from features.feature_store import feature_store
from features.hashtags import history
from features.lake import Lake

pytestmark = pytest.mark.slow

START = datetime(2026, 5, 1, tzinfo=UTC)
DAY = TimeRange(START, START + timedelta(days=1))
POSTS = 500


def start(settings: Settings) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "covla.cli", "ingest", "--json"],
        env=settings.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(
    settings: Settings, *workers: "subprocess.Popen[str]", posts: int = 0, labels: int = 0
) -> None:
    """Until the lake holds so many of each, duplicates of a replay left out."""
    lake, deadline = Lake(settings), time.monotonic() + 180
    for table, wanted in (("posts", posts), ("labels", labels)):
        while len(set(lake.read(table, DAY, ["post_id"])["post_id"].to_pylist())) < wanted:
            assert time.monotonic() < deadline
            for worker in workers:
                assert worker.poll() is None, worker.stderr and worker.stderr.read()
            time.sleep(0.1)


def send(settings: Settings, topic: str, values: dict[str, bytes]) -> None:
    """Records by post id."""
    client = clients.producer(settings)
    for post_id, value in values.items():
        client.send(topic, key=post_id.encode(), value=value)
    client.flush()
    client.close()


def label_of(item: FolderPost) -> bytes:
    label = {
        "post_id": item.post.post_id, "label": item.label, "source": "test",
        "labelled_at": (item.post.created_at + timedelta(minutes=5)).isoformat(),
    }  # fmt: skip
    return json.dumps(label).encode()


def test_two_workers_one_killed_leave_every_post_once(settings: Settings) -> None:
    topics = clients.ensure_topics(settings)
    made = [item for item, _ in generate(POSTS, 5, START, START + timedelta(hours=3))]
    sent = {item.post.post_id: str(item.label) for item in made}
    labels = {item.post.post_id: label_of(item) for item in made}
    late = dict(list(labels.items())[POSTS // 2 :])
    send(settings, topics.posts, {item.post.post_id: item.post.to_json() for item in made})
    send(settings, topics.labels, {key: labels[key] for key in labels.keys() - late.keys()})
    doomed, other = start(settings), start(settings)
    wait_for(settings, doomed, other, posts=1)
    doomed.kill()
    doomed.communicate(timeout=20)
    send(settings, topics.labels, late)  # whatever the killed one had read
    wait_for(settings, other, posts=POSTS, labels=POSTS)  # the other takes over
    other.send_signal(signal.SIGTERM)
    out, err = other.communicate(timeout=60)
    assert other.returncode == 0, err
    assert json.loads(out.splitlines()[-1])["labels_ingested"] > 0

    for table in ("posts", "labels"):
        rows = (
            Lake(settings).read(table, DAY, ["topic", "partition", "offset", "post_id"]).to_pylist()
        )
        places = Counter((row["topic"], row["partition"], row["offset"]) for row in rows)
        assert set(places.values()) == {1}
        assert Counter(row["post_id"] for row in rows) == dict.fromkeys(sent, 1)

    store = feature_store(settings)
    online = store.get_online_features(
        features=["post_label:label", "post_content:text"],
        entity_rows=[{"post_id": post_id} for post_id in sent],
    ).to_dict()
    assert dict(zip(online["post_id"], online["label"], strict=True)) == sent
    assert None not in online["text"]

    tags = history(settings, as_of=now(), latest=True).to_pylist()
    known = store.get_online_features(
        features=[f"hashtag:{name}" for name in HASHTAG],
        entity_rows=[{"hashtag": row["hashtag"]} for row in tags],
    ).to_dict()
    assert len(tags) > 10
    assert known["posts"] == [row["posts"] for row in tags]
    assert known["labelled"] == [row["labelled"] for row in tags]
