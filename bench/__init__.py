"""One file a benchmark, run as `python -m bench.NAME --json`; the last line is one JSON object.

Machines are noisy, so what counts is `ratio`: ours against the reference, measured in the same
run, alternating. `spread` is the lowest and the highest ratio of a round.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from typing import Any


def arguments(description: str, **defaults: Any) -> argparse.Namespace:
    """The command line of a benchmark: --json, and an option per default."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", action="store_true", help="the result line alone")
    for name, value in defaults.items():
        kind = str if value is None else type(value)
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, default=value)
    return parser.parse_args()


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def alternate(
    ours: Callable[[], object], reference: Callable[[], object], rounds: int
) -> tuple[list[float], list[float]]:
    """Seconds of both, `rounds` times each, in turns; one call of each before, uncounted."""
    ours()
    reference()
    pairs = [(seconds(ours), seconds(reference)) for _ in range(rounds)]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def report(
    name: str, ours: list[float], reference: list[float], *, unit: str, notes: str, quiet: bool
) -> dict[str, Any]:
    """Print the result line. `ours` and `reference` hold one figure a round, in `unit`."""
    ratios = [a / b for a, b in zip(ours, reference, strict=True)]
    row = {
        "benchmark": name,
        "ours": round(statistics.median(ours), 4),
        "reference": round(statistics.median(reference), 4),
        "ratio": round(statistics.median(ratios), 4),
        "spread": [round(min(ratios), 4), round(max(ratios), 4)],
        "unit": unit,
        "cores": len(os.sched_getaffinity(0)),
        "notes": notes,
    }
    if not quiet:
        print(f"{name}: {row['ours']} {unit}, reference {row['reference']}, ratio {row['ratio']}")
    print(json.dumps(row))
    return row
