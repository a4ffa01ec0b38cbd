"""The DAGs under a real Airflow: their tasks run, and `covla` says what a test wants it to say."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import pytest

from covla.cli.main import covla
from services.stack.airflow import DAGS

# In place of the real one: `covla.cli` of a folder that comes first on the path of the tasks.
COVLA = """
import json, sys
from pathlib import Path

folder = Path(__file__).parents[2]
with (folder / "lines").open("a") as lines:
    print(json.dumps(sys.argv[1:]), file=lines)
says = {"alerts": [0, "{}", ""]} | json.loads((folder / "says.json").read_text())
code, stdout, stderr = says[sys.argv[1]]
print(stdout)
print(stderr, file=sys.stderr)
sys.exit(code)
"""


@dataclass(frozen=True)
class Says:
    """How a command ends in a test."""

    result: dict[str, Any] = field(default_factory=dict)
    code: int = 0
    stderr: str = ""


@dataclass(frozen=True)
class Run:
    """What became of a run of a DAG."""

    state: str
    note: str | None
    tasks: dict[str, str]  # task -> state
    lines: list[list[str]]  # of commands, in their order, without `covla`, but those of alerts
    alerts: list[list[str]]  # of `covla alerts`
    queued: list[str]  # the DAGs that Airflow starts because of it
    returned: dict[str, Any]  # task -> what it returned
    told: list[dict[str, Any]]  # what it tells them
    log: str


class Airflow:
    """tests/dags/airflow_process.py over the DAGs of the repository."""

    def __init__(self, home: Path) -> None:
        self._folder = home / "path"
        package = self._folder / "covla" / "cli"
        package.mkdir(parents=True)
        for name, text in (("__init__.py", ""), ("__main__.py", COVLA)):
            (package / name).write_text(text)
        (package.parent / "__init__.py").touch()
        theirs = {k: v for k, v in os.environ.items() if not k.startswith("AIRFLOW_")}
        self._log = home / "log"
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                # Not the tests' folder on its path: Airflow has the DAGs' folder there, last.
                [sys.executable, "-P", str(Path(__file__).with_name("airflow_process.py"))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=home,
                env=theirs
                | {
                    "AIRFLOW_HOME": str(home),
                    "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
                    "AIRFLOW__CORE__PLUGINS_FOLDER": str(DAGS / "plugins"),
                    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
                    "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
                    "PYTHONPATH": str(self._folder),
                },
            )
        self.found = self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line, self._log.read_text()[-3000:]
        value: dict[str, Any] = json.loads(line)
        return value

    def run(self, dag: str, date: str, conf: dict[str, Any] | None = None, **says: Says) -> Run:
        """Run a DAG at a date, while each command says what it is to say."""
        lines = self._folder / "lines"
        lines.unlink(missing_ok=True)
        (self._folder / "says.json").write_text(
            json.dumps({k: [v.code, json.dumps(v.result), v.stderr] for k, v in says.items()})
        )
        before = self._log.stat().st_size
        assert self._process.stdin
        print(
            json.dumps({"dag": dag, "date": date, "conf": conf or {}}),
            file=self._process.stdin,
            flush=True,
        )
        answer = self._answer()
        ran = [json.loads(line) for line in lines.read_text().splitlines()]
        for line in ran:
            _takes(line)
        alerts = [line for line in ran if line[0] == "alerts"]
        lines_ = [line for line in ran if line[0] != "alerts"]
        return Run(
            **answer, lines=lines_, alerts=alerts, log=self._log.read_bytes()[before:].decode()
        )

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()


def _takes(line: list[str]) -> None:
    """That the real `covla` takes this command line: its options, and what it makes of them."""
    with covla.make_context("covla", list(line)) as context:
        name, command, rest = covla.resolve_command(context, list(line))
        assert command
        parent = context
        if isinstance(command, click.Group):
            parent = command.make_context(name, rest, parent=context)
            name, command, rest = command.resolve_command(
                parent, [*parent._protected_args, *parent.args]
            )
            assert command
        command.make_context(name, rest, parent=parent)


@pytest.fixture(scope="session")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    """A real Airflow for all tests of the DAGs: eight seconds to start, then one a run."""
    airflow = Airflow(tmp_path_factory.mktemp("airflow"))
    try:
        yield airflow
    finally:
        airflow.end()
