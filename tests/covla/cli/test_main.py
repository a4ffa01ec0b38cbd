"""The command as a newcomer meets it."""

import subprocess
import sys

import pytest

from covla.cli.main import COMMANDS


def run(*args: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "covla.cli", *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_help_lists_every_command() -> None:
    shown = run("--help")
    assert shown.returncode == 0
    assert all(name in shown.stdout for name in COMMANDS)


def test_help_imports_nothing_heavy() -> None:
    """Half a second for `covla --help`: importing feast alone takes seconds."""
    probe = (
        "import sys; from covla.cli.main import covla;"
        "covla.main(['--help'], standalone_mode=False);"
        "heavy = {'torch','feast','pandas','mlflow','bentoml','airflow','evidently','kafka',"
        "'pydantic','numpy','great_expectations','openvino'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    shown = run(command, "--help")
    assert shown.returncode == 0, shown.stderr
    # `exec` prints what its command prints.
    assert "--json" in shown.stdout or "Commands:" in shown.stdout or command == "exec"


def test_an_unknown_command_is_wrong_use() -> None:
    shown = run("fly")
    assert shown.returncode == 2
    assert "fly" in shown.stderr
