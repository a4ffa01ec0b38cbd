"""Posts per second of REST (`/predict_batch`) and of the stream worker, as a share of the networks
alone on posts that are decoded already; and where the time of a post goes.

Runs on whatever device there is, a CPU too. In each round all four are measured in turn; the
posts of a round are new to all of them.
"""

import asyncio
import json
import os
import statistics
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp

from bench import arguments, seconds
from bench.goodput import running
from bench.predictor import untrained
from bench.stream import kafka_to_kafka
from covla.inference.io_workers import IoWorkers
from covla.inference.predictor import Predictor
from covla.inference.shared_preparation import shared_preparation
from covla.model.runtime.device import pick_device
from covla.posts.preprocessing import PreparedPost
from covla.posts.synthetic import generate
from covla.schemas.post import SocialPost
from covla.settings import Settings
from services.stack import kafka as broker

BATCH = 32
START = datetime(2026, 5, 1, tzinfo=UTC)


async def _send(address: str, bodies: list[bytes], at_once: int) -> None:
    waiting = iter(bodies)

    async def client(session: aiohttp.ClientSession) -> None:
        for body in waiting:
            async with session.post(f"{address}/predict_batch", data=body) as response:
                if response.status != 200:
                    sys.exit(f"REST answers {response.status}: {await response.text()}")
                await response.read()

    headers = {"content-type": "application/json"}
    async with aiohttp.ClientSession(headers=headers) as session:
        await asyncio.gather(*(client(session) for _ in range(at_once)))


def stages(predictor: Predictor, items: list[SocialPost], settings: Settings) -> dict[str, float]:
    """Microseconds of each stage for a post, one after the other, each alone on the machine."""
    raw = [item.to_json() for item in items]
    prepared: list[PreparedPost] = []

    def prepare() -> None:
        found = shared_preparation(settings).submit(items)()
        prepared[:] = [item for item in found if isinstance(item, PreparedPost)]

    encoded: list[Any] = []

    def encode() -> None:
        encoded[:] = predictor.encode(prepared)

    steps = {
        "parse": lambda: [SocialPost.from_json(line) for line in raw],
        "prepare": prepare,
        "encode": encode,
        "head and answers": lambda: predictor.answer(prepared, encoded, [{}] * len(prepared)),
    }
    return {name: round(seconds(step) / len(items) * 1e6) for name, step in steps.items()}


def main() -> None:
    """The ratios are of posts per second to the networks alone."""
    options = arguments(__doc__ or "", model=None, posts=512, rounds=3, at_once=4, io_workers=-1)
    with tempfile.TemporaryDirectory() as state:
        settings = Settings(state=Path(state))
        if options.io_workers >= 0:
            settings = settings.model_copy(update={"io_workers": options.io_workers})
        model = Path(options.model) if options.model else untrained(Path(state) / "model")
        predictor = Predictor.load(model, settings)
        predictor.warm_up()
        kafka = broker.start(settings)
        rows: dict[str, list[float]] = {}
        try:
            for number in range(options.rounds):
                made = generate(options.posts, number, START, START + timedelta(days=1))
                items = [labelled.post for labelled, _ in made]
                for name, speed in _round(
                    predictor, items, model, settings, kafka.address, options
                ):
                    rows.setdefault(name, []).append(speed)
                    print(f"round {number + 1}: {name} {speed:.1f} posts/s", file=sys.stderr)
        finally:
            broker.stop(settings)
        took = stages(predictor, items, settings)
        preparation = shared_preparation(settings)
        workers = preparation.workers if isinstance(preparation, IoWorkers) else 0
    print(
        json.dumps(
            {
                "benchmark": "gpu_serving",
                "device": pick_device(settings.device),
                "cores": len(os.sched_getaffinity(0)),
                "io_workers": workers,
                "posts_per_second": {k: round(statistics.median(v), 1) for k, v in rows.items()},
                "of_networks": {k: _ratio(v, rows["networks"]) for k, v in rows.items()},
                "of_predictor": {k: _ratio(v, rows["predictor"]) for k, v in rows.items()},
                "microseconds": took,
                "bottleneck": max(took, key=lambda name: took[name]),
            },
            indent=None if options.json else 2,
        )
    )


def _round(
    predictor: Predictor,
    items: list[SocialPost],
    model: Path,
    settings: Settings,
    kafka: str,
    options: Any,
) -> "list[tuple[str, float]]":
    count = len(items)
    batches = [items[i : i + BATCH] for i in range(0, count, BATCH)]
    found = shared_preparation(settings).submit(items)()
    prepared = [item for item in found if isinstance(item, PreparedPost)]
    contexts = predictor.contexts(prepared, [{}] * len(prepared))

    def networks() -> None:
        predictor.head.run(predictor.encoders.encode(prepared), contexts)

    def whole() -> None:
        predictor.clear_cache()
        for batch in batches:
            predictor.predict(batch)

    speeds = [("networks", count / seconds(networks)), ("predictor", count / seconds(whole))]
    own = {"kafka_bootstrap": kafka, "topic_prefix": f"b{items[0].post_id}"}
    streamed = kafka_to_kafka(settings.model_copy(update=own), items, predictor)
    speeds.append(("stream", streamed))
    bodies = [b"[" + b",".join(post.to_json() for post in batch) + b"]" for batch in batches]
    server = "covla" if options.io_workers < 0 else f"covla-{options.io_workers}"
    with running(server, model, settings, items[0].to_json()) as address:
        taken = seconds(lambda: asyncio.run(_send(address, bodies, options.at_once)))
    return [*speeds, ("rest", count / taken)]


def _ratio(ours: list[float], reference: list[float]) -> dict[str, Any]:
    ratios = [a / b for a, b in zip(ours, reference, strict=True)]
    spread = [round(min(ratios), 2), round(max(ratios), 2)]
    return {"ratio": round(statistics.median(ratios), 2), "spread": spread}


if __name__ == "__main__":
    main()
