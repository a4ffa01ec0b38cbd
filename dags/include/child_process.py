"""A child process whose lines are logged while it runs, and a report of how it ended."""

import resource
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

SAMPLE = 0.2
# Of this container or service: how often the kernel killed a process of it for memory.
_MEMORY_EVENTS = Path("/sys/fs/cgroup/memory.events")


@dataclass
class ExitReport:
    """How a child process ended."""

    exit_code: int  # negative: the signal that ended it
    timed_out: bool
    out_of_memory: bool
    seconds: float
    peak_mib: int  # resident memory, looked at every SAMPLE seconds
    stdout: deque[str] = field(default_factory=lambda: deque(maxlen=3))  # its last lines
    stderr: deque[str] = field(default_factory=lambda: deque(maxlen=3))

    @property
    def last(self) -> list[str]:
        """The last lines of both, those of stderr at the end."""
        return [*self.stdout, *self.stderr][-3:]

    @property
    def reason(self) -> str:
        """In a few words."""
        if self.timed_out:
            return "did not end in time and was killed"
        if self.out_of_memory:
            return "was killed for memory"
        if self.exit_code < 0:
            return f"was ended by {signal.Signals(-self.exit_code).name}"
        return f"ended with exit code {self.exit_code}"

    def __str__(self) -> str:
        step = self.last[-1][:200] if self.last else "nothing printed"
        return (
            f"exit report: {self.reason} after {self.seconds:.1f} s, at most {self.peak_mib} MiB; "
            f"last line: {step}"
        )


def run_child(command: Sequence[str], *, minutes: float, gigabytes: int) -> ExitReport:
    """Run a command to its end. Each line is printed as it comes, so the task's log is live.

    Args:
        command: program and arguments.
        minutes: it is killed after so many.
        gigabytes: of private data that it may allocate; mapped files do not count.
    """
    kills, started = _memory_kills(), time.monotonic()
    child = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    resource.prlimit(child.pid, resource.RLIMIT_DATA, (gigabytes << 30,) * 2)
    report = ExitReport(0, False, False, 0.0, 0)
    assert child.stdout
    assert child.stderr
    readers = [
        threading.Thread(target=_log, args=(child.stdout, report.stdout)),
        threading.Thread(target=_log, args=(child.stderr, report.stderr)),
    ]
    for reader in readers:
        reader.start()
    try:
        while child.poll() is None and not report.timed_out:
            # Not rusage: a child begins with the peak of the process that it was forked from.
            report.peak_mib = max(report.peak_mib, _resident_mib(child.pid))
            with suppress(subprocess.TimeoutExpired):
                child.wait(timeout=SAMPLE)
            report.timed_out = time.monotonic() > started + minutes * 60
    finally:  # also when Airflow ends the task
        child.kill()
        report.exit_code = child.wait()
        for reader in readers:
            reader.join(timeout=10)  # a grandchild may hold the pipe
    report.seconds = time.monotonic() - started
    killed = report.exit_code == -signal.SIGKILL and not report.timed_out
    report.out_of_memory = (killed and _memory_kills() > kills) or (
        report.exit_code > 0 and any("MemoryError" in line for line in report.last)
    )
    print(report, flush=True)
    return report


def _log(stream: IO[str], last: deque[str]) -> None:
    with stream:
        for line in stream:
            text = line.rstrip("\n")
            print(text, flush=True)
            if text.strip():
                last.append(text)


def _resident_mib(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0  # it has just ended
    peak = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(peak[0]) >> 10 if peak else 0


def _memory_kills() -> int:
    try:
        rows = dict(line.split() for line in _MEMORY_EVENTS.read_text().splitlines())
    except (OSError, ValueError):
        return 0  # no cgroup v2, or its root: a kill is then reported as the signal that it is
    return int(rows.get("oom_kill", 0))
