"""An open-loop load of one REST service: requests come at their times, whoever is still waiting.

`python -m bench.load ADDRESS POSTS.jsonl --rate 80 --seconds 15` prints one JSON object. Latencies
count from the time that a request should have been sent, so a late sender hides nothing.
"""

import argparse
import asyncio
import json
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np

BURST = 16  # posts of a burst
IN_TIME = 1.0  # seconds


def arrivals(rate: float, seconds: float, seed: int, *, bursty: bool) -> list[float]:
    """Times from 0: a Poisson process of posts, or of bursts of 16."""
    draw, size = random.Random(seed), BURST if bursty else 1
    times, at = [], 0.0
    while (at := at + draw.expovariate(rate / size)) < seconds:
        times += [at] * size
    return times


async def _ask(
    session: aiohttp.ClientSession, address: str, body: bytes, due: float
) -> tuple[int, float]:
    try:
        async with session.post(f"{address}/predict", data=body) as response:
            await response.read()
            status = response.status
    except (aiohttp.ClientError, TimeoutError):
        status = 0
    return status, time.perf_counter() - due


async def load(address: str, bodies: list[bytes], times: list[float]) -> list[tuple[int, float]]:
    """Status (0: no answer within 30 s) and seconds of each request."""
    # What the header states is of use to a server that reads it.
    headers = {"content-type": "application/json", "timeout": str(IN_TIME)}
    connector = aiohttp.TCPConnector(limit=0)
    limit = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(
        connector=connector, headers=headers, timeout=limit
    ) as session:
        started = time.perf_counter() + 0.1
        tasks = []
        for position, at in enumerate(times):
            await asyncio.sleep(max(0.0, started + at - time.perf_counter()))
            body = bodies[position % len(bodies)]
            tasks.append(asyncio.create_task(_ask(session, address, body, started + at)))
        return list(await asyncio.gather(*tasks))


def summary(answers: list[tuple[int, float]], seconds: float) -> dict[str, Any]:
    """What came of it. In time is a prediction within a second; percentiles are of predictions, in
    milliseconds."""
    answered = [took for status, took in answers if status == 200]
    ranks = np.percentile(np.array(answered) * 1000, [50, 95, 99]) if answered else [0, 0, 0]
    return {
        "requests": len(answers),
        "in_time_per_second": round(sum(took <= IN_TIME for took in answered) / seconds, 2),
        **{
            f"p{n}_ms": round(float(value), 1) for n, value in zip((50, 95, 99), ranks, strict=True)
        },
        "statuses": {str(k): n for k, n in sorted(Counter(s for s, _ in answers).items())},
    }


def main() -> None:
    """One load."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address")
    parser.add_argument("posts", type=Path)
    parser.add_argument("--rate", type=float, required=True, help="posts a second")
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--skip", type=int, default=0, help="posts of the file that were sent")
    parser.add_argument("--bursty", action="store_true")
    options = parser.parse_args()
    bodies = options.posts.read_bytes().splitlines()[options.skip :]
    times = arrivals(options.rate, options.seconds, options.seed, bursty=options.bursty)
    answers = asyncio.run(load(options.address, bodies, times))
    print(json.dumps(summary(answers, options.seconds)))


if __name__ == "__main__":
    main()
