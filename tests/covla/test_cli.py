"""The command as a newcomer meets it."""

import subprocess
import sys
from importlib.metadata import entry_points

import pytest

from covla.cli import GROUP

VERBS = sorted(point.name for point in entry_points(group=GROUP))


def run(*args: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "covla.cli", *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_help_lists_every_verb() -> None:
    shown = run("--help")
    assert shown.returncode == 0
    assert all(verb in shown.stdout for verb in VERBS)


def test_help_imports_nothing_heavy() -> None:
    """Half a second for `covla --help`: importing feast alone takes seconds."""
    probe = (
        "import sys; from covla.cli import covla;"
        "covla.main(['--help'], standalone_mode=False);"
        "heavy = {'torch','feast','pandas','mlflow','bentoml','airflow','evidently','kafka',"
        "'pydantic','numpy','great_expectations','openvino'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str) -> None:
    shown = run(verb, "--help")
    assert shown.returncode == 0, shown.stderr
    # `exec` prints what its command prints.
    assert "--json" in shown.stdout or "Commands:" in shown.stdout or verb == "exec"


def test_an_unknown_verb_is_wrong_use() -> None:
    shown = run("fly")
    assert shown.returncode == 2
    assert "fly" in shown.stderr
