"""A service that runs in the foreground is on record too, so that `covla status` sees it and
`covla down` ends it."""

import contextlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime

import psutil

from covla.errors import CovlaError
from covla.settings import Settings
from services.stack import processes
from services.stack.processes import Process


@contextlib.contextmanager
def recorded(settings: Settings, name: str, address: str) -> Iterator[None]:
    """Hold the record `name` of the state folder while this process serves.

    Raises:
        CovlaError: another process of that name runs.
    """
    with processes.locked(settings.run / "services"):
        other = processes.find(settings, name)
        if other and other.alive and other.pid != os.getpid():
            raise CovlaError(
                f"{name} runs already: process {other.pid}, {other.address}",
                hint="End it with `covla down`",
            )
        log = other.log if other and other.pid == os.getpid() else ""
        created = psutil.Process().create_time()
        process = Process(name, os.getpid(), created, address, datetime.now(UTC).isoformat(), log)
        processes.record(settings, process)
    try:
        yield
    finally:
        last = processes.find(settings, name)
        if last and last.pid == os.getpid():
            (settings.run / f"{name}.json").unlink(missing_ok=True)
