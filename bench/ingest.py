"""Ingest, Kafka to every store, against decoding and encoding alone.

The reference reads the same messages from memory, decodes, measures and encodes them, and writes
nothing: the least that any ingest with these encoders has to do. The house wants 0.7 of its speed.
"""

import tempfile
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench import arguments, report
from covla.kafka import clients
from covla.kafka.clients import Topics
from covla.model.encoders import Encoders, load_encoders
from covla.posts.image_store import BlobStore
from covla.posts.preprocessing import prepare
from covla.posts.synthetic.generate import iter_posts
from covla.schemas.post import parse_post
from covla.settings import Settings
from covla.times import now
from features.extract import extract
from features.ingest import BATCH, Ingest
from services.stack import kafka as broker

START = datetime(2026, 5, 1, tzinfo=UTC)


def _messages(number: int) -> list[tuple[bytes, bytes]]:
    made = iter_posts(number, 7, START, START + timedelta(hours=24))
    return [(item.post.post_id.encode(), item.post.to_json()) for item, _ in made]


def _ours(settings: Settings, encoders: Encoders, messages: list[tuple[bytes, bytes]]) -> float:
    """Posts a second from the first record's arrival to the last commit."""
    fresh = settings.model_copy(
        update={
            "state": settings.state / uuid.uuid4().hex,
            "topic_prefix": f"bench-{uuid.uuid4().hex[:8]}",
        }
    )
    topics: Topics = clients.ensure_topics(fresh)
    producer = clients.producer(fresh)
    for key, value in messages:
        producer.send(topics.posts, key=key, value=value)
    producer.close()
    totals = Ingest(fresh, encoders).run(maximum=len(messages))
    if totals.posts_ingested != len(messages):
        raise SystemExit(f"ingested {totals.posts_ingested} of {len(messages)}")
    return totals.posts_ingested / totals.seconds


def _reference(
    settings: Settings, encoders: Encoders, messages: list[tuple[bytes, bytes]]
) -> float:
    blobs = BlobStore(settings)
    started = time.perf_counter()
    for first in range(0, len(messages), BATCH):
        posts = [parse_post(value, settings) for _, value in messages[first : first + BATCH]]
        items = [prepare(post, settings, blobs) for post in posts]
        extract(items, encoders, now(), secret=b"bench", image_uris=[None] * len(items))
    return len(messages) / (time.perf_counter() - started)


def main() -> None:
    """Alternate the two, after one uncounted round of each."""
    options = arguments(__doc__.splitlines()[0], posts=512, rounds=5)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(state=Path(folder))
        messages = _messages(options.posts)
        encoders = load_encoders("base", settings)
        process = broker.start(settings)
        settings = settings.model_copy(update={"kafka_bootstrap": process.address})
        try:
            rounds = [
                (_ours(settings, encoders, messages), _reference(settings, encoders, messages))
                for _ in range(options.rounds + 1)
            ][1:]
        finally:
            broker.stop(Settings(state=Path(folder)))
    report(
        "ingest",
        [ours for ours, _ in rounds],
        [reference for _, reference in rounds],
        unit="posts/s",
        notes=(
            f"{options.posts} synthetic posts; ours: Kafka read, decode, encode, lake, blobs, "
            "SQLite online store, commit; reference: decode and encode from memory, nothing written"
        ),
        quiet=options.json,
    )


if __name__ == "__main__":
    main()
