"""What a task does with a command: its result, its refusal, its death."""

import os
import runpy
import signal
import sys
from pathlib import Path

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from include.commands import REFUSED, CommandFailed, run_command
from services.stack.airflow import DAGS


def test_a_result_comes_back(tmp_path: Path) -> None:
    result = run_command("contracts", "--out", str(tmp_path))
    assert result["exit_code"] == 0
    contracts = Path(__file__).parents[3] / "docs" / "contracts"
    there = {path.name for path in tmp_path.iterdir()}
    assert {Path(path).name for path in result["written"]} == there
    assert there == {path.name for path in contracts.glob("*.json")}


def test_another_exit_code_fails_the_task_and_says_why() -> None:
    with pytest.raises(CommandFailed, match="exit code 2.*No such command"):
        run_command("fly")


def test_a_no_is_a_result_whatever_the_command_says_beside_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The gate's reasons follow its result, on stderr."""
    says_no = tmp_path / "python"
    says_no.write_text("#!/bin/sh\necho '{\"passed\": false}'\necho 'covla: no' >&2\nexit 4\n")
    says_no.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(says_no))
    result = run_command("promote", accept=(0, REFUSED))
    assert result == {"passed": False, "exit_code": 4}


@pytest.mark.slow
def test_too_few_posts_skip_the_task_with_the_commands_reason(tmp_path: Path) -> None:
    hour = "2026-05-01T00:00:00Z/2026-05-01T01:00:00Z"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COVLA_STATE", str(tmp_path))
        with pytest.raises(AirflowSkipException, match="no post in the window 2026-05-01"):
            run_command("train", "--window", hour, "--preset", "tiny", "--teacher", "none")


def test_a_killed_command_names_the_signal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    dies = tmp_path / "python"
    dies.write_text(f"#!/bin/sh\nkill -{signal.SIGKILL.value} $$\n")
    dies.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(dies))
    with pytest.raises(CommandFailed, match="SIGKILL"):
        run_command("train")


def test_a_command_that_does_not_end_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    slow = tmp_path / "python"
    slow.write_text("#!/bin/sh\nexec sleep 30\n")
    slow.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(slow))
    with pytest.raises(CommandFailed, match="did not end"):
        run_command("train", minutes=0.01)


def test_a_memory_limit_holds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    greedy = tmp_path / "python"
    greedy.write_text(
        f"#!/bin/sh\nexec {os.path.realpath(sys.executable)} -c 'bytearray(3 << 30)'\n"
    )
    greedy.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(greedy))
    with pytest.raises(CommandFailed, match="MemoryError"):
        run_command("train", gigabytes=1)


def test_the_clock_is_an_option_of_airflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """`covla demo` and tests leave the DAGs to be triggered."""
    file = str(DAGS / "include" / "commands.py")
    for option, schedule in (("none", None), ("@daily", "@daily")):
        monkeypatch.setenv("AIRFLOW__COVLA__SCHEDULE", option)
        assert runpy.run_path(file)["SCHEDULE"] == schedule
