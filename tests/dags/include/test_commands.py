"""What a task does with a command: its result, its refusal, its death."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.commands import REFUSED, CommandFailed, CommandUnavailable, run_command


@pytest.fixture(autouse=True)
def notes(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What a task's `note` would be."""
    left: dict[str, str] = {}
    task = SimpleNamespace(xcom_push=left.__setitem__)
    monkeypatch.setattr("include.notes.get_current_context", lambda: {"ti": task})
    return left


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
def test_too_few_posts_skip_the_task_with_the_commands_reason(
    tmp_path: Path, notes: dict[str, str]
) -> None:
    hour = "2026-05-01T00:00:00Z/2026-05-01T01:00:00Z"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COVLA_STATE", str(tmp_path))
        with pytest.raises(AirflowSkipException, match="no post in the window 2026-05-01"):
            run_command("train", "--window", hour, "--preset", "tiny", "--teacher", "none")
    assert notes["note"].startswith("no post in the window 2026-05-01")


@pytest.mark.parametrize(
    ("ends", "error"),
    [
        ("exit 2", CommandFailed),
        ("exit 4", CommandFailed),
        ("echo done", CommandFailed),
        ("exit 3", CommandUnavailable),
        ("kill -9 $$", CommandUnavailable),
    ],
)
def test_only_what_another_try_may_mend_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    notes: dict[str, str],
    ends: str,
    error: type[Exception],
) -> None:
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\necho 'covla: so it is' >&2\n{ends}\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    with pytest.raises(error, match="covla train"):
        run_command("train")
    assert ends == "echo done" or notes["note"].endswith("covla: so it is")
    assert issubclass(CommandFailed, AirflowFailException)
    assert not issubclass(CommandUnavailable, AirflowFailException)


def test_a_command_that_does_not_end_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    slow = tmp_path / "python"
    slow.write_text("#!/bin/sh\nexec sleep 30\n")
    slow.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(slow))
    with pytest.raises(CommandFailed, match="did not end"):
        run_command("train", minutes=0.01)
