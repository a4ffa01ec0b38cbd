"""The stream worker, Kafka to Kafka with transactions, against the bare Predictor on the same
posts: what the messaging costs. At least 0.7 is wanted."""

import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench import arguments, report, seconds
from covla.inference.predictor import Predictor
from covla.kafka import clients
from covla.posts.synthetic import generate
from covla.schemas.post import SocialPost
from covla.settings import Settings
from services.stack import kafka as broker
from services.stream import BATCH_POSTS, Worker


def kafka_to_kafka(settings: Settings, posts: Sequence[SocialPost], predictor: Predictor) -> float:
    """Posts per second, from the first post polled to the last commit."""
    topics = clients.ensure_topics(settings)
    client = clients.producer(settings)
    for post in posts:
        client.send(topics.posts, key=post.post_id.encode(), value=post.to_json())
    client.flush()
    client.close()
    predictor.clear_cache()
    done = Worker(settings, lambda: predictor).run(limit=len(posts), until_idle=30)
    if done.predictions != len(posts):
        sys.exit(f"{done.predictions} of {len(posts)} posts were predicted")
    return done.posts / done.seconds


def _bare(posts: Sequence[SocialPost], predictor: Predictor) -> float:
    def work() -> None:
        predictor.clear_cache()
        for first in range(0, len(posts), BATCH_POSTS):
            predictor.predict(posts[first : first + BATCH_POSTS])

    return len(posts) / seconds(work)


def main() -> None:
    options = arguments(__doc__ or "", model=None, posts=400, rounds=3)
    if options.model is None:
        sys.exit("--model FOLDER is needed, such as one that `covla train --out FOLDER` wrote")
    start = datetime(2026, 5, 1, tzinfo=UTC)
    made = generate(options.posts, 7, start, start + timedelta(days=1))
    posts = [item.post for item, _ in made]
    with tempfile.TemporaryDirectory() as state:
        local = Settings(state=Path(state))
        process = broker.start(local)
        try:
            predictor = Predictor.load(options.model, local)
            predictor.warm_up()
            _bare(posts, predictor)
            ours, reference = [], []
            for number in range(options.rounds):
                own_topics = {"kafka_bootstrap": process.address, "topic_prefix": f"b{number}"}
                ours.append(kafka_to_kafka(local.model_copy(update=own_topics), posts, predictor))
                reference.append(_bare(posts, predictor))
        finally:
            broker.stop(local)
    report(
        "stream",
        ours,
        reference,
        unit="posts/s",
        notes=f"{len(posts)} synthetic posts, {BATCH_POSTS} a batch; reference: Predictor alone",
        quiet=options.json,
    )


if __name__ == "__main__":
    main()
