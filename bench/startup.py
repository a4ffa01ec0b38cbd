"""How long `covla --help` and the reading of each DAG file take, against Python and Airflow alone.

The house wants `--help` under 0.5 s and each DAG file under 1 s of its own.
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
    with tempfile.TemporaryDirectory() as home:
        environment = os.environ | {"AIRFLOW_HOME": home, "PYTHONPATH": str(DAGS)}
        for path in sorted(DAGS.glob("*.py")):
            report(
                f"parse {path.name}",
                *alternate(
                    lambda name=path.stem: _run(python, "-c", f"import {name}", env=environment),
                    lambda: _run(python, "-c", "import airflow.sdk as s; s.dag", env=environment),
                    options.rounds,
                ),
                unit="s",
                notes="reference: Python importing airflow.sdk",
                quiet=options.json,
            )


if __name__ == "__main__":
    main()
