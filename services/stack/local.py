"""Start, stop and watch the parts of one state folder together."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Any

from covla.settings import Settings
from services.stack import processes
from services.stack.processes import Process

# Each is a module of this package with start(settings) -> Process and answers(address) -> bool.
PARTS = ("kafka", "mlflow", "evidently", "postgres", "airflow")
BY_HAND = ("postgres", "airflow")  # Airflow starts its database


@dataclass(frozen=True)
class ServiceStatus:
    """One service, as `covla status` prints it: a recorded process, or a container without
    `pid` and `started_at`."""

    name: str
    state: str  # running, dead, or a container's
    healthy: bool
    address: str
    pid: int | None
    started_at: str | None
    log: str

    def as_dict(self) -> dict[str, str | bool | int]:
        """The JSON document, without what is not known."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def default_parts(settings: Settings) -> list[str]:
    """kafka, mlflow and evidently, without those that the settings say run elsewhere."""
    elsewhere = {
        "kafka": settings.kafka_bootstrap is not None,
        "mlflow": not settings.mlflow.startswith("sqlite:"),
    }
    return [name for name in PARTS if name not in BY_HAND and not elsewhere.get(name, False)]


def up(settings: Settings, parts: Sequence[str], *, log: Callable[[str], None]) -> list[Process]:
    """Start `parts` in order; what runs already is left alone.

    Raises:
        CovlaError: a port set by hand is taken, the disk is full, a jar fails its checksum.
        ServiceUnavailable: a part does not come up; those before it keep running.
    """
    with processes.locked(settings.run):
        started = []
        for name in parts:
            process = _part(name).start(settings)
            log(f"{name} runs at {process.address}")
            started.append(process)
    return started


def down(settings: Settings, *, log: Callable[[str], None]) -> list[str]:
    """Stop everything in the run folder, last started first; no process of it is left."""
    stopped = []
    with processes.locked(settings.run):
        for process in reversed(processes.records(settings)):
            processes.stop(settings, process.name, grace=30)
            log(f"{process.name} stopped")
            stopped.append(process.name)
    return stopped


def status(settings: Settings) -> list[ServiceStatus]:
    """Every recorded process."""
    return [_status(process, process.alive) for process in processes.records(settings)]


def _status(each: Process, alive: bool) -> ServiceStatus:
    state, healthy = "running" if alive else "dead", alive and _answers(each)
    times = (each.pid, each.started_at)
    return ServiceStatus(each.name, state, healthy, each.address, *times, each.log)


def pages(settings: Settings) -> dict[str, str]:
    """Addresses of the running services that a person opens in a browser."""
    return {
        process.name: process.address
        for process in processes.records(settings)
        if process.alive and process.address.startswith("http")
    }


def _part(name: str) -> Any:
    return import_module(f"services.stack.{name}")


def _answers(process: Process) -> bool:
    if process.name in PARTS:
        return bool(_part(process.name).answers(process.address))
    return True  # who starts services of their own watches their health
