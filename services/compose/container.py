"""One container: its process, its health, and what happens when it ends."""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from covla.waiting import wait_until
from services.compose.file import Health, Service

# As Docker: twice as long after each end, until it has run for a while.
FIRST_RESTART_SECONDS = 0.5
LAST_RESTART_SECONDS = 60.0
STEADY_SECONDS = 10.0


@dataclass
class Check:
    """A health check under way."""

    process: subprocess.Popen[str]
    until: float


@dataclass(eq=False)
class Container:
    """`state` is created, starting, healthy, unhealthy, running (no health check), restarting or
    exited; `why` is the last word of its health check or log."""

    name: str
    service: Service
    enter: list[str]  # stands before every command that runs in the container
    command: list[str]
    environment: dict[str, str]
    log: Path
    state: str = "created"
    why: str = ""
    code: int | None = None
    restarts: int = 0
    started_at: float = 0.0
    took: float = 0.0  # seconds until it was healthy
    _process: subprocess.Popen[bytes] | None = None
    _main: psutil.Process | None = None
    _check: Check | None = None
    _failures: int = 0
    _next: float = 0.0
    _delay: float = FIRST_RESTART_SECONDS

    @property
    def up(self) -> bool:
        """Whether its process runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the process; its output is appended to the log."""
        answer, info = os.pipe()
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [*self.enter[:3], "--info-fd", str(info), *self.enter[3:], *self.command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self.environment,
                pass_fds=[info],
                start_new_session=True,
            )
        os.close(info)
        with os.fdopen(answer) as pipe:
            self._main = _process_of(pipe.read(), self.service.init)
        self.started_at = time.monotonic()
        self.state = "starting" if self.service.health else "running"
        self.why, self.code, self._failures = "", None, 0
        self._next = self.started_at

    def tick(self) -> None:
        """Check the process and its health; restart it when it is time."""
        now = time.monotonic()
        if self.state == "restarting":
            if now >= self._next:
                self.restarts += 1
                self.start()
            return
        if self._process is None or self.state == "exited":
            return
        if self._process.poll() is not None:
            self._ended(now, self._process.returncode)
        elif self.service.health is not None:
            self._health(self.service.health, now)

    def _ended(self, now: float, code: int) -> None:
        self.code, self.why = code, last_line(self.log)
        self._drop_check()
        again = {"no": False, "on-failure": code != 0}.get(self.service.restart, True)
        if not again:
            self.state = "exited"
            return
        if now - self.started_at > STEADY_SECONDS:
            self._delay = FIRST_RESTART_SECONDS
        self.state, self._next = "restarting", now + self._delay
        self._delay = min(2 * self._delay, LAST_RESTART_SECONDS)

    def _health(self, health: Health, now: float) -> None:
        if self._check is None:
            if now >= self._next:
                self._check = Check(self.run(health.command), now + health.timeout)
            return
        code = self._check.process.poll()
        if code is None and now < self._check.until:
            return
        if code is None:
            self._drop_check()
            why = f"its health check took longer than {health.timeout:.0f} s"
        else:
            output = (self._check.process.communicate()[0] or "").strip().splitlines()
            why = output[-1] if output else f"its health check ended with {code}"
        self._check = None
        young = now - self.started_at < health.start_period and self.state == "starting"
        self._next = now + (health.start_interval if young else health.interval)
        if code == 0:
            if self.state != "healthy":
                self.took = now - self.started_at
            self.state, self.why, self._failures = "healthy", "", 0
            return
        self.why = why
        self._failures += not young
        if self._failures >= health.retries:
            self.state = "unhealthy"

    def run(self, command: Sequence[str], **options: Any) -> subprocess.Popen[str]:
        """Start another command in the container; its output is in one pipe."""
        return subprocess.Popen(
            [*self.enter, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment,
            **options,
        )

    def terminate(self) -> None:
        """SIGTERM to its main process; it is not started again."""
        self._drop_check()
        if self.state == "restarting":
            self.state = "exited"
        if self.up and self._main is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                self._main.send_signal(signal.SIGTERM)

    def ends_within(self, seconds: float) -> bool:
        """Wait for the end of its process."""
        return wait_until(lambda: not self.up, timeout=seconds, every=0.05)

    def kill(self) -> None:
        """End all that is left of it."""
        if self._process is not None:
            self._process.kill()
            self.code = self._process.wait()
        self.state = "exited"

    def _drop_check(self) -> None:
        if self._check is not None:
            self._check.process.kill()
            self._check.process.communicate()
            self._check = None


def _process_of(info: str, init: bool) -> psutil.Process | None:
    """The container's main process, from bubblewrap's --info-fd."""
    try:
        first = psutil.Process(json.loads(info)["child-pid"])
    except (ValueError, KeyError, psutil.NoSuchProcess):
        return None  # it ended at once; the log has the reason
    if not init:
        return first

    def children() -> list[psutil.Process]:
        with contextlib.suppress(psutil.NoSuchProcess):
            return first.children()
        return []

    return (wait_until(children, timeout=5, every=0.01) or [first])[0]


def last_line(log: Path) -> str:
    """The last line that is not empty."""
    with log.open("rb") as lines:
        lines.seek(max(0, log.stat().st_size - 4096))
        stripped = [line.strip() for line in lines.read().decode(errors="replace").splitlines()]
    return next((line for line in reversed(stripped) if line), "")
