"""Background processes of one state folder: a record, a log and a clean end for each."""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson
import psutil
from filelock import FileLock

from covla.errors import CovlaError, ServiceUnavailable
from covla.files import write_bytes_aside
from covla.settings import Settings
from covla.waiting import wait_until

# Below this a broker or a database fails in its own, less readable way.
FREE_DISK_BYTES = 200_000_000
# For workers whose leader is gone, before SIGKILL.
WORKERS_GRACE_S = 10.0


@dataclass(frozen=True)
class Process:
    """The record of one started process; `pid` is also its session, which all children share."""

    name: str
    pid: int
    create_time: float
    address: str
    started_at: str
    log: str

    @property
    def alive(self) -> bool:
        """Whether this very process runs: a recycled pid has another creation time."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.create_time) < 1
            return same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False


def locked(folder: Path) -> FileLock:
    """A folder's lock, for `with`: two commands never start or install the same thing at once."""
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / ".lock")


def records(settings: Settings) -> list[Process]:
    """Every recorded process, dead ones too, in the order they were started."""
    recorded = []
    for path in settings.run.glob("*.json"):
        try:
            recorded.append(Process(**orjson.loads(path.read_bytes())))
        except FileNotFoundError:
            continue  # stopped meanwhile
        except (ValueError, TypeError):
            raise CovlaError(
                f"{path} is not a process record", hint="Delete it, then run `covla up` again"
            ) from None
    return sorted(recorded, key=lambda process: process.started_at)


def record(settings: Settings, process: Process) -> None:
    """Put a process on record, in place of an earlier one of its name."""
    write_bytes_aside(settings.run / f"{process.name}.json", orjson.dumps(asdict(process)))


def find(settings: Settings, name: str) -> Process | None:
    """The record of `name`, or None."""
    return next((process for process in records(settings) if process.name == name), None)


def running(settings: Settings, name: str) -> Process | None:
    """The process of `name` if it lives; what a dead one left behind is cleared away."""
    process = find(settings, name)
    if process and not process.alive:
        stop(settings, name)
        return None
    return process


def start(
    settings: Settings,
    name: str,
    command: Sequence[str],
    *,
    address: str,
    ready: Callable[[], bool],
    timeout: float = 60,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Process:
    """Start `command` in its own session, record it, and wait until `ready()` is true.

    Whatever goes wrong before that, interruption included, nothing stays behind.

    Raises:
        CovlaError: the disk of the state folder is full.
        ServiceUnavailable: the process ended, or was not ready after `timeout` seconds.
    """
    require_disk(settings.state)
    logs = settings.state.absolute() / "logs"
    for folder in (settings.run, logs):
        folder.mkdir(parents=True, exist_ok=True)
    log = logs / f"{name}.log"
    with log.open("ab") as output:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=dict(env) if env is not None else None,
            cwd=cwd,
        )
    try:
        created = psutil.Process(child.pid).create_time()
        now = datetime.now(UTC).isoformat()
        process = Process(name, child.pid, created, address, now, str(log))
        record(settings, process)
        _wait(child, process, ready, timeout)
    except BaseException:
        _end(child.pid, None, grace=5)
        child.wait()
        (settings.run / f"{name}.json").unlink(missing_ok=True)
        raise
    # The child outlives this object on purpose; without a code, Popen would warn about it.
    child.returncode = 0
    return process


def stop(settings: Settings, name: str, *, grace: float = 20) -> bool:
    """End a recorded process and all its descendants: SIGTERM, `grace` seconds, then SIGKILL.

    Returns False when nothing of that name is recorded.
    """
    process = find(settings, name)
    if process is None:
        return False
    _end(process.pid, process.create_time, grace=grace)
    (settings.run / f"{name}.json").unlink(missing_ok=True)
    return True


def require_disk(folder: Path) -> None:
    """Raise CovlaError when the disk under `folder` has no room for a service to start."""
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < FREE_DISK_BYTES:
        raise CovlaError(
            f"the disk of {folder.absolute()} is full: {free // 1_000_000} MB are free",
            hint=f"Free {FREE_DISK_BYTES // 1_000_000} MB, or set COVLA_STATE to another disk",
        )


def _wait(
    child: subprocess.Popen[bytes], process: Process, ready: Callable[[], bool], timeout: float
) -> None:
    def failed(how: str) -> ServiceUnavailable:
        return ServiceUnavailable(f"{process.name} {how}", hint=f"Its log says why: {process.log}")

    def started() -> bool:
        is_ready = ready()
        if not is_ready and child.poll() is not None:
            raise failed(f"ended with code {child.returncode} while starting")
        return is_ready

    late = f"was not ready after {timeout:.0f} s"
    wait_until(started, timeout=timeout, every=0.1, error=lambda _: failed(late))


def _family(pid: int, create_time: float | None) -> list[psutil.Process]:
    """The process, its descendants, and orphans that its session still holds.

    A session id is not reused while the session has members, so members of the session of a
    dead leader are ours; if the pid lives with another creation time, none are left.
    """
    try:
        leader = psutil.Process(pid)
        if create_time is not None and abs(leader.create_time() - create_time) >= 1:
            return []
        family = {leader, *leader.children(recursive=True)}
    except psutil.NoSuchProcess:
        family = set()
    for member in psutil.process_iter():
        with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
            if os.getsid(member.pid) == pid:
                family.add(member)
    return list(family)


def _end(pid: int, create_time: float | None, *, grace: float) -> None:
    family = set(_family(pid, create_time))
    # The leader alone first: a server that gets SIGTERM first stops its own workers in order.
    leader = [member for member in family if member.pid == pid]
    _signal(leader, signal.SIGTERM)
    psutil.wait_procs(leader, timeout=grace)
    # Looked up again each time, and kept: a worker that left the session is in the first list.
    family |= set(_family(pid, create_time))
    _signal(family, signal.SIGTERM)
    psutil.wait_procs(list(family), timeout=WORKERS_GRACE_S)
    family |= set(_family(pid, create_time))
    _signal(family, signal.SIGKILL)
    psutil.wait_procs(list(family), timeout=10)


def _signal(family: Iterable[psutil.Process], number: signal.Signals) -> None:
    for member in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.send_signal(number)
