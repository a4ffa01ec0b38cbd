"""What one `covla serve` takes: seconds from its start until it answers, and MiB of memory after
100 predictions and an explanation.

Against Python importing torch and transformers, which a process that serves on a CPU does without.
The aims are 5 s and 600 MiB with preset `base` and a folder that carries its networks.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import psutil

from bench import arguments, report
from covla.posts.synthetic import generate
from covla.schemas.post import SocialPost

POSTS = 100
_HEAVY = (
    "import sys, time, torch, transformers.modeling_utils\n"
    "print('imported', flush=True)\ntime.sleep(999)"
)


def posts() -> list[SocialPost]:
    """Synthetic posts, most with a text and an image."""
    start = datetime(2026, 5, 1, tzinfo=UTC)
    return [item.post for item, _ in generate(POSTS, 3, start, start + timedelta(hours=1))]


@contextmanager
def started(command: list[str], **settings: str) -> Iterator[tuple[psutil.Process, str, float]]:
    """A process, the first line that it prints, and the seconds until then."""
    began = time.perf_counter()
    environment = os.environ | settings
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise SystemExit(f"{command[0]} ended with {process.wait()}")
        yield psutil.Process(process.pid), line, time.perf_counter() - began
    finally:
        process.terminate()
        process.wait()


def memory(process: psutil.Process) -> float:
    """MiB of a process and its children: each shared page by its share (PSS)."""
    family = [process, *process.children(recursive=True)]
    return float(sum(one.memory_full_info().pss for one in family)) / 2**20


def serving(model: Path, python: str, state: Path) -> tuple[float, float, float]:
    """Seconds until it answers, and MiB after the predictions and after an explanation."""
    command = [python, "-m", "covla.cli", "serve", "--model", str(model), "--port", "0", "--json"]
    with started(command, COVLA_STATE=str(state), COVLA_DEVICE="cpu") as (process, line, ready):
        address = json.loads(line)["address"]
        with httpx.Client(base_url=address, timeout=60) as client:
            for post in posts():
                answer = client.post("/predict", content=post.to_json(), headers=_JSON)
                answer.raise_for_status()
            held = memory(process)
            client.post("/explain", content=post.to_json(), headers=_JSON).raise_for_status()
        return ready, held, memory(process)


_JSON = {"Content-Type": "application/json"}


def main() -> None:
    options = arguments(__doc__ or "", rounds=3, model=None, python=sys.executable)
    if options.model is None:
        raise SystemExit("give --model FOLDER")
    rows: list[tuple[float, float, float]] = []
    heavy: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as state:
        model = Path(options.model).absolute()
        serving(model, options.python, Path(state))  # an older folder is converted here
        for _ in range(options.rounds):
            rows.append(serving(model, options.python, Path(state)))
            with started([sys.executable, "-c", _HEAVY]) as (process, _, ready):
                heavy.append((ready, memory(process)))
    seconds, held, explained = (list(row) for row in zip(*rows, strict=True))
    reference, reference_held = (list(row) for row in zip(*heavy, strict=True))
    notes = "reference: importing torch and transformers"
    quiet = options.json
    report("serve: ready", seconds, reference, unit="s", notes=notes, quiet=quiet)
    report("serve: memory", held, reference_held, unit="MiB", notes=notes, quiet=quiet)
    report("serve: explain", explained, reference_held, unit="MiB", notes=notes, quiet=quiet)


if __name__ == "__main__":
    main()
