"""Processes are recorded, ended with all their descendants, and never confused with others."""

import fcntl
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import orjson
import psutil
import pytest

from covla.errors import CovlaError, ServiceUnavailable
from covla.settings import Settings
from services.stack import processes
from services.stack.processes import Process

# A leader with a child that does not listen to SIGTERM; both pids go to a file when ready.
STUBBORN = """
import os, signal, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); "
    "time.sleep(300)"], stdout=subprocess.PIPE)
child.stdout.readline()
with open(sys.argv[1] + ".draft", "w") as out:
    out.write(str(child.pid))
os.rename(sys.argv[1] + ".draft", sys.argv[1])
time.sleep(300)
"""


def _start(settings: Settings, marker: Path) -> tuple[Process, int]:
    process = processes.start(
        settings,
        "stubborn",
        [sys.executable, "-c", STUBBORN, str(marker)],
        address="nowhere",
        ready=marker.exists,
        timeout=20,
    )
    return process, int(marker.read_text())


def _gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def _eventually(check: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10
    while not check():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_stop_ends_a_child_that_ignores_sigterm(
    offline_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "WORKERS_GRACE_S", 0.2)
    process, child = _start(offline_settings, tmp_path / "ready")
    assert process.alive
    record = orjson.loads((offline_settings.run / "stubborn.json").read_bytes())
    assert (record["pid"], record["address"]) == (process.pid, "nowhere")

    assert processes.stop(offline_settings, "stubborn")
    assert _eventually(lambda: _gone(process.pid) and _gone(child))
    assert not list(offline_settings.run.glob("*.json"))
    assert not processes.stop(offline_settings, "stubborn")


def test_orphans_of_a_killed_leader_are_ended(
    offline_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "WORKERS_GRACE_S", 0.2)
    process, child = _start(offline_settings, tmp_path / "ready")
    leader = psutil.Process(process.pid)
    leader.send_signal(signal.SIGKILL)
    leader.wait(10)
    assert not process.alive
    assert not _gone(child)

    assert processes.running(offline_settings, "stubborn") is None
    assert _eventually(lambda: _gone(child))


def test_a_recycled_pid_is_never_killed(offline_settings: Settings) -> None:
    """The record's pid now belongs to a stranger, born at another time."""
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as stranger:
        born = psutil.Process(stranger.pid).create_time()
        record = Process("old", stranger.pid, born - 100, "x", "2026-01-01T00:00:00Z", "x.log")
        processes.record(offline_settings, record)
        assert not record.alive
        assert processes.stop(offline_settings, "old")
        assert stranger.poll() is None
        stranger.kill()


def test_one_that_ends_while_starting_leaves_nothing(offline_settings: Settings) -> None:
    command = [sys.executable, "-c", "print('no room'); raise SystemExit(7)"]
    with pytest.raises(ServiceUnavailable, match=r"broken ended with code 7 .*broken\.log"):
        processes.start(
            offline_settings, "broken", command, address="x", ready=lambda: False, timeout=20
        )
    assert processes.records(offline_settings) == []
    assert "no room" in (offline_settings.state / "logs" / "broken.log").read_text()


def test_one_that_never_gets_ready_is_ended(offline_settings: Settings) -> None:
    with pytest.raises(ServiceUnavailable, match="slow was not ready after 0 s"):
        processes.start(
            offline_settings, "slow", ["sleep", "61"], address="x", ready=lambda: False, timeout=0.3
        )
    # A process that has ended and waits for its parent has no command line to read.
    mine = [
        child
        for child in psutil.Process().children(recursive=True)
        if child.status() != psutil.STATUS_ZOMBIE
    ]
    assert not [child for child in mine if child.cmdline() == ["sleep", "61"]]


def test_full_disk_is_said_before_anything_starts(
    offline_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "FREE_DISK_BYTES", 10**18)
    with pytest.raises(CovlaError, match=r"the disk of .* is full: \d+ MB are free.*COVLA_STATE"):
        processes.start(
            offline_settings, "any", ["sleep", "60"], address="x", ready=lambda: True, timeout=5
        )
    assert processes.records(offline_settings) == []


def test_a_broken_record_is_named(offline_settings: Settings) -> None:
    offline_settings.run.mkdir(parents=True)
    (offline_settings.run / "kafka.json").write_text("{")
    with pytest.raises(CovlaError, match=r"kafka\.json is not a process record"):
        processes.records(offline_settings)


def test_two_commands_never_start_the_same_thing_at_once(offline_settings: Settings) -> None:
    folder = offline_settings.run
    folder.mkdir(parents=True)

    def hold() -> bool:
        with processes.locked(folder):
            return True

    with (folder / ".lock").open("w") as held, ThreadPoolExecutor(1) as pool:
        fcntl.flock(held, fcntl.LOCK_EX)  # as a command of any earlier version does
        waits = pool.submit(hold)
        with pytest.raises(TimeoutError):
            waits.result(timeout=0.3)
        fcntl.flock(held, fcntl.LOCK_UN)
        assert waits.result(timeout=10)
