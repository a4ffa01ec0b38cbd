"""Posts prepared by I/O workers against threads: posts per second, and what that takes of the
process that drives the networks, in its own CPU time.

The second is what a GPU waits for: threads share the interpreter with the networks.
"""

import json
import os
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench import arguments
from covla.inference.io_workers import IoWorkers
from covla.inference.preparation import Preparation, Threads
from covla.posts.synthetic import generate
from covla.schemas.post import SocialPost
from covla.settings import Settings


def once(preparation: Preparation, items: list[SocialPost]) -> tuple[float, float]:
    """Posts per second, and microseconds of this process for each."""
    started, own = time.perf_counter(), time.process_time()
    preparation.submit(items)()
    taken = time.perf_counter() - started
    return len(items) / taken, (time.process_time() - own) / len(items) * 1e6


def main() -> None:
    """The ratio is of posts per second, I/O workers against threads."""
    options = arguments(__doc__ or "", posts=512, rounds=5, workers=2)
    with tempfile.TemporaryDirectory() as state:
        settings = Settings(state=Path(state))
        start = datetime(2026, 3, 1, tzinfo=UTC)
        made = generate(options.posts, 0, start, start + timedelta(days=1))
        items = [labelled.post for labelled, _ in made]
        both: dict[str, Preparation] = {
            "threads": Threads(settings),
            "workers": IoWorkers(settings, options.workers),
        }
        rows: dict[str, list[tuple[float, float]]] = {name: [] for name in both}
        for number in range(options.rounds + 1):  # the first is not counted
            for name, preparation in both.items():
                row = once(preparation, items)
                if number:
                    rows[name].append(row)
    ratios = [a[0] / b[0] for a, b in zip(rows["workers"], rows["threads"], strict=True)]
    result: dict[str, Any] = {
        "benchmark": "io_workers",
        "ratio": round(statistics.median(ratios), 2),
        "spread": [round(min(ratios), 2), round(max(ratios), 2)],
        "cores": len(os.sched_getaffinity(0)),
        "workers": options.workers,
    }
    for name, found in rows.items():
        result[name] = {
            "posts_per_second": round(statistics.median(row[0] for row in found), 1),
            "own_microseconds": round(statistics.median(row[1] for row in found)),
        }
    print(json.dumps(result, indent=None if options.json else 2))


if __name__ == "__main__":
    main()
