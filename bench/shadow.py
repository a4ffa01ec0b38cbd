"""A stream worker at its limit with a shadow beside it, against the same worker without one.

Both models are of `base` with random weights, and the shadow's budget is that of the settings.
"""

import tempfile
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench import arguments, report
from bench.predictor import untrained
from covla.inference.predictor import Predictor
from covla.kafka import clients
from covla.posts.synthetic.generate import iter_posts
from covla.schemas.prediction import Prediction
from covla.settings import Settings
from services.shadow import Shadow
from services.stack import kafka as broker
from services.stack import ports
from services.stream import Worker

START = datetime(2026, 5, 1, tzinfo=UTC)


def _drop(_: Prediction, done: Callable[[BaseException | None], None]) -> None:
    done(None)


def _run(
    settings: Settings, champion: Predictor, shadow: Predictor | None, messages: dict[bytes, bytes]
) -> float:
    """Posts a second from the first record's arrival to the last commit."""
    fresh = settings.model_copy(update={"topic_prefix": f"bench-{uuid.uuid4().hex[:8]}"})
    topics = clients.ensure_topics(fresh)
    producer = clients.producer(fresh)
    for key, value in messages.items():
        producer.send(topics.posts, key=key, value=value)
    producer.close()
    worker = Worker(fresh, lambda: champion)
    beside = Shadow(fresh, lambda: shadow, _drop)
    worker.shadow = beside
    done = worker.run(limit=len(messages))
    beside.close()
    for model in (champion, shadow):
        if model is not None:
            model.clear_cache()
    return done.predictions / done.seconds


def main() -> None:
    """Alternate the two, after one uncounted round of each."""
    options = arguments(__doc__.splitlines()[0], posts=512, rounds=3)
    made = iter_posts(options.posts, 7, START, START + timedelta(hours=24))
    messages = {item.post.post_id.encode(): item.post.to_json() for item, _ in made}
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(state=Path(folder) / "state", kafka_port=ports.any_free())
        models = untrained(Path(folder) / "model")
        champion, shadow = (Predictor.load(models, settings) for _ in range(2))
        for model in (champion, shadow):
            model.warm_up()
        process = broker.start(settings)
        there = settings.model_copy(update={"kafka_bootstrap": process.address})
        try:
            rounds = [
                (_run(there, champion, shadow, messages), _run(there, champion, None, messages))
                for _ in range(options.rounds + 1)
            ][1:]
        finally:
            broker.stop(settings)
    report(
        "shadow",
        [ours for ours, _ in rounds],
        [reference for _, reference in rounds],
        unit="posts/s",
        notes=f"{options.posts} posts that wait; ours: with a shadow at "
        f"{settings.shadow_cpu_share:g} of the time; reference: without",
        quiet=options.json,
    )


if __name__ == "__main__":
    main()
