"""What a task does with a verb: its result, its refusal, its death."""

import os
import signal
import sys
from pathlib import Path

import pytest
from airflow.sdk.exceptions import AirflowSkipException

sys.path.insert(0, str(Path(__file__).parents[2] / "dags"))

import verbs


def test_a_result_comes_back(tmp_path: Path) -> None:
    result = verbs.run_verb("contracts", "--out", str(tmp_path))
    assert result["exit_code"] == 0
    contracts = Path(__file__).parents[2] / "docs" / "contracts"
    there = {path.name for path in tmp_path.iterdir()}
    assert {Path(path).name for path in result["written"]} == there
    assert there == {path.name for path in contracts.glob("*.json")}


def test_another_exit_code_fails_the_task_and_says_why() -> None:
    with pytest.raises(verbs.VerbFailed, match="exit code 2.*No such command"):
        verbs.run_verb("fly")


def test_a_no_is_a_result_whatever_the_verb_says_beside_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The gate's reasons follow its result, on stderr."""
    says_no = tmp_path / "python"
    says_no.write_text("#!/bin/sh\necho '{\"passed\": false}'\necho 'covla: no' >&2\nexit 4\n")
    says_no.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(says_no))
    result = verbs.run_verb("promote", accept=(0, verbs.GATE_SAID_NO))
    assert result == {"passed": False, "exit_code": 4}


def test_too_few_posts_skip_the_task_with_the_commands_reason(tmp_path: Path) -> None:
    window = "2026-05-01T00:00:00Z/2026-05-01T01:00:00Z"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COVLA_STATE", str(tmp_path))
        with pytest.raises(AirflowSkipException, match="no post in the window 2026-05-01"):
            verbs.run_verb("train", "--window", window, "--preset", "tiny", "--teacher", "none")


def test_a_killed_verb_names_the_signal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    dies = tmp_path / "python"
    dies.write_text(f"#!/bin/sh\nkill -{signal.SIGKILL.value} $$\n")
    dies.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(dies))
    with pytest.raises(verbs.VerbFailed, match="SIGKILL"):
        verbs.run_verb("train")


def test_a_verb_that_does_not_end_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    slow = tmp_path / "python"
    slow.write_text("#!/bin/sh\nexec sleep 30\n")
    slow.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(slow))
    with pytest.raises(verbs.VerbFailed, match="did not end"):
        verbs.run_verb("train", minutes=0.01)


def test_a_memory_limit_holds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    greedy = tmp_path / "python"
    greedy.write_text(
        f"#!/bin/sh\nexec {os.path.realpath(sys.executable)} -c 'bytearray(3 << 30)'\n"
    )
    greedy.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(greedy))
    with pytest.raises(verbs.VerbFailed, match="MemoryError"):
        verbs.run_verb("train", gigabytes=1)
