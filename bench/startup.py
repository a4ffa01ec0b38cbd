"""How long starting takes: `covla --help`, what predicts, the feature store, each DAG file.

Against Python, torch, Feast and Airflow alone. The house wants `--help` under 0.5 s and each DAG
file under 1 s of its own.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from bench import alternate, arguments, report

DAGS = Path(__file__).parents[1] / "dags"


def _run(*command: str, env: dict[str, str] | None = None) -> None:
    subprocess.run(command, check=True, capture_output=True, env=env)


def _parse(name: str, environment: dict[str, str]) -> tuple[float, float]:
    """Seconds to import airflow.sdk, and then the DAG file, in a fresh process."""
    code = (
        "import time; a = time.perf_counter(); import airflow.sdk as s; s.dag; s.Asset; s.Metadata;"
        f"b = time.perf_counter(); import {name}; print(b - a, time.perf_counter() - b)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, check=True, capture_output=True, env=environment, text=True)
    importing, parsing = map(float, done.stdout.splitlines()[-1].split())
    return importing, parsing


def main() -> None:
    options = arguments(__doc__ or "", rounds=5)
    python = sys.executable
    report(
        "covla --help",
        *alternate(
            lambda: _run(python, "-m", "covla.cli", "--help"),
            lambda: _run(python, "-c", "import click"),
            options.rounds,
        ),
        unit="s",
        notes="reference: Python importing click",
        quiet=options.json,
    )
    for ours, reference in (
        ("covla.inference.predictor", "torch"),
        ("features.feast_api", "feast"),
    ):
        report(
            f"import {ours}",
            *alternate(
                lambda name=ours: _run(python, "-c", f"import {name}"),  # type: ignore[misc]
                lambda name=reference: _run(python, "-c", f"import {name}"),  # type: ignore[misc]
                options.rounds,
            ),
            unit="s",
            notes=f"reference: importing {reference}",
            quiet=options.json,
        )
    with tempfile.TemporaryDirectory() as home:
        environment = os.environ | {
            "AIRFLOW_HOME": home,
            "PYTHONPATH": f"{DAGS}:{DAGS / 'plugins'}",
        }
        for path in sorted(DAGS.glob("*.py")):
            times = [_parse(path.stem, environment) for _ in range(options.rounds)]
            report(
                f"parse {path.name}",
                [parsing for _, parsing in times],
                [importing for importing, _ in times],
                unit="s",
                notes="reference: importing airflow.sdk, done once by Airflow's processor",
                quiet=options.json,
            )


if __name__ == "__main__":
    main()
