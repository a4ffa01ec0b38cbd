"""A child's lines while it runs, and how it ended."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from include import child_process
from include.child_process import run_child


def python(code: str) -> list[str]:
    return [os.path.realpath(sys.executable), "-c", code]


def test_each_line_is_there_while_the_child_runs(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Else the log of a training of ten hours is empty for ten hours."""
    flag = tmp_path / "go"
    code = (
        "import os, sys, time\n"
        "print('epoch 1', file=sys.stderr, flush=True)\n"
        f"while not os.path.exists({str(flag)!r}): time.sleep(0.01)\n"
        "print('{}')"
    )
    worker = threading.Thread(
        target=run_child, args=(python(code),), kwargs={"minutes": 1, "gigabytes": 4}
    )
    worker.start()
    printed = ""
    deadline = time.monotonic() + 30
    while "epoch 1" not in printed and time.monotonic() < deadline:
        printed += capsys.readouterr().out
        time.sleep(0.01)
    alive = worker.is_alive()
    flag.touch()
    worker.join(timeout=30)
    assert alive
    assert "epoch 1" in printed
    assert "exit report: ended with exit code 0" in capsys.readouterr().out


def test_the_report_says_how_it_ended_and_what_it_took() -> None:
    code = (
        "import time\nx = bytearray(300 << 20)\ntime.sleep(1)\n"
        "print('step 7', flush=True)\nraise SystemExit(3)"
    )
    report = run_child(python(code), minutes=1, gigabytes=4)
    assert (report.exit_code, report.reason) == (3, "ended with exit code 3")
    assert 300 <= report.peak_mib < 400
    assert str(report).endswith("last line: step 7")


def test_a_child_that_does_not_end_is_killed() -> None:
    report = run_child(python("import time; time.sleep(30)"), minutes=0.005, gigabytes=4)
    assert report.timed_out
    assert report.reason == "did not end in time and was killed"
    assert report.seconds < 20


def test_the_memory_limit_holds_and_is_named() -> None:
    report = run_child(python("bytearray(3 << 30)"), minutes=1, gigabytes=1)
    assert (report.out_of_memory, report.reason) == (True, "was killed for memory")


def test_a_kill_is_one_for_memory_where_the_kernel_counted_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    events = tmp_path / "memory.events"
    events.write_text("low 0\noom 0\noom_kill 4\n")
    monkeypatch.setattr(child_process, "_MEMORY_EVENTS", events)
    kill = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"
    assert run_child(python(kill), minutes=1, gigabytes=4).reason == "was ended by SIGKILL"
    counted = f"from pathlib import Path\nPath({str(events)!r}).write_text('oom_kill 5')\n{kill}"
    report = run_child(python(counted), minutes=1, gigabytes=4)
    assert (report.reason, report.exit_code) == ("was killed for memory", -signal.SIGKILL)
