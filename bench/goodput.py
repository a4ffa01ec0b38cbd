"""Answers within a second, of `covla serve` and of other servers around the same Predictor.

`covla-2` is `covla serve --io-workers 2`, and `bentoml-2` BentoML's own split with as many workers.

Open loop (bench.load) at a share of what the Predictor alone does in this run. Each server is
started anew for each round, so none has seen a post. `make peers` installs the others.
"""

import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from bench import arguments, seconds
from bench.predictor import posts, untrained
from covla.inference.predictor import Predictor
from covla.schemas.post import Image, SocialPost
from covla.settings import Settings

PEERS = Path(__file__).with_name("peers") / ".venv" / "bin" / "python"
SERVERS = ("covla", "litserve", "ray", "fastapi")
START_SECONDS = 120
JSON = {"content-type": "application/json"}
BATCH = 32


def command(server: str, model: Path, port: int) -> list[str]:
    """What starts a server."""
    if server.startswith("covla"):
        serve = ["serve", "--model", str(model), "--port", str(port), "--json"]
        workers = server.removeprefix("covla").removeprefix("-")
        given = ["--io-workers", workers] if workers else []
        return [sys.executable, "-m", "covla.cli", *serve, *given]
    if server.startswith("bentoml"):
        service = "bench.peers.bentoml_server:Front"
        return [sys.executable, "-m", "bentoml", "serve", service, "--port", str(port)]
    if not PEERS.exists():
        sys.exit(f"{PEERS} is missing: run `make peers`")
    return [str(PEERS), "-m", f"bench.peers.{server}_server", str(model), str(port)]


@contextmanager
def running(server: str, model: Path, settings: Settings, probe: bytes) -> Iterator[str]:
    """The address of a server that answers, ended with all of its processes."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = (settings.state / f"{server}.log").open("ab")
    process = subprocess.Popen(
        command(server, model, port),
        env=settings.environment()
        | {"PYTHONPATH": str(Path(__file__).parents[1]), "BENCH_MODEL": str(model)}
        | {"BENCH_WORKERS": server.removeprefix("bentoml").removeprefix("-")},
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        ends = time.monotonic() + START_SECONDS
        while not _answers(address, probe):
            if process.poll() is not None or time.monotonic() > ends:
                sys.exit(f"{server} did not start:\n{Path(log.name).read_text()[-2000:]}")
            time.sleep(0.5)
        yield address
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            pass
        finally:
            _kill(process.pid)
            process.wait()
            log.close()


def _kill(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


def _answers(address: str, body: bytes) -> bool:
    try:
        return httpx.post(f"{address}/predict", content=body, headers=JSON, timeout=30).is_success
    except httpx.TransportError:
        return False


def _load(address: str, file: Path, skip: int, **options: Any) -> dict[str, Any]:
    words = [w for name, value in options.items() for w in (f"--{name}", str(value))]
    flags = [word for word in words if word not in {"True"}]
    done = subprocess.run(
        [sys.executable, "-m", "bench.load", address, str(file), "--skip", str(skip), *flags],
        capture_output=True,
        text=True,
        check=True,
    )
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def bare(model: Path, settings: Settings, items: list[SocialPost]) -> float:
    """Posts per second of the Predictor alone, in batches."""
    predictor = Predictor.load(model, settings)
    predictor.warm_up()
    batches = [items[i : i + BATCH] for i in range(0, len(items), BATCH)]
    return len(items) / seconds(lambda: [predictor.predict(batch) for batch in batches])


def with_bad_images(items: list[SocialPost], share: float) -> list[SocialPost]:
    """Every so many posts' image cut off."""
    every = round(1 / share) if share else 0
    return [
        post.model_copy(update={"image": Image(data="/9j/4AAQSkZJRgABAQ==")})
        if every and position % every == 0 and post.image is not None
        else post
        for position, post in enumerate(items)
    ]


def main() -> None:
    """A table of medians over the rounds, with the lowest and the highest."""
    options = arguments(
        __doc__ or "",
        model=None,
        servers=",".join(SERVERS),
        rates="0.5,0.8,1.2",
        bad=0.0,
        bursty=0,
        seconds=15.0,
        rounds=3,
    )
    shares = [float(rate) for rate in options.rates.split(",")]
    with tempfile.TemporaryDirectory() as state:
        settings = Settings(state=Path(state))
        model = Path(options.model) if options.model else untrained(Path(state) / "model")
        items = with_bad_images(posts(256), options.bad)
        speed = statistics.median(bare(model, settings, items) for _ in range(3))
        count = int(1.3 * sum(shares) * speed * options.seconds) + 1
        print(f"bare Predictor: {speed:.1f} posts/s; making {count} posts", file=sys.stderr)
        items = posts(count)
        file = Path(state) / "posts.jsonl"
        file.write_bytes(b"\n".join(p.to_json() for p in with_bad_images(items, options.bad)))
        rows: dict[str, list[dict[str, Any]]] = {}
        for number in range(options.rounds):
            for server in options.servers.split(","):
                sent = 0
                with running(server, model, settings, items[0].to_json()) as address:
                    for share in shares:
                        load: dict[str, Any] = {"rate": share * speed, "seconds": options.seconds}
                        load |= {"seed": number} | ({"bursty": True} if options.bursty else {})
                        row = _load(address, file, sent, **load)
                        sent += row["requests"]
                        rows.setdefault(f"{server} {share}", []).append(row)
                        print(f"round {number + 1}: {server} at {share}: {row}", file=sys.stderr)
    print(json.dumps(_report(rows, speed, vars(options)), indent=None if options.json else 2))


def _report(
    rows: dict[str, list[dict[str, Any]]], speed: float, options: dict[str, Any]
) -> dict[str, Any]:
    names = ("in_time_per_second", "p50_ms", "p95_ms", "p99_ms")
    table = {
        key: {
            name: [
                statistics.median(found := [row[name] for row in rounds]),
                min(found),
                max(found),
            ]
            for name in names
        }
        for key, rounds in rows.items()
    }
    return {
        "benchmark": "goodput",
        "bare": round(speed, 1),
        "cores": len(os.sched_getaffinity(0)),
        "of_each": "median, lowest and highest of the rounds",
        "options": options,
        "table": table,
    }


if __name__ == "__main__":
    main()
