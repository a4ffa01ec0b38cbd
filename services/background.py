"""Long-running commands in the background: ingest, stream, REST. `covla down` ends them."""

import sys
from collections.abc import Callable

from covla.settings import Settings
from services.stack import pages, ports, processes
from services.stack.processes import Process

START_SECONDS = 180


def start(settings: Settings, subcommand: str) -> Process:
    """Start `covla ingest`, `covla stream` or `covla serve`, or return the one that runs.

    REST is returned when it is ready to answer; the other two when their process runs: what they
    have done shows in their consumer group.

    Raises:
        CovlaError: a port set by hand is taken.
        ServiceUnavailable: the process ended or did not get ready; its log has the reason.
    """
    name = "rest" if subcommand == "serve" else subcommand
    if running := processes.running(settings, name):
        return running
    command = [sys.executable, "-m", "covla.cli", subcommand]
    address = ""
    ready: Callable[[], bool] = lambda: True  # noqa: E731
    if subcommand == "serve":
        port = ports.choose(settings, "rest_port")
        address = f"http://{ports.LOOPBACK}:{port}"
        command += ["--port", str(port), "--host", ports.LOOPBACK]
        ready = lambda: pages.answers(f"{address}/readyz")  # noqa: E731
    return processes.start(
        settings,
        name,
        command,
        address=address,
        ready=ready,
        timeout=START_SECONDS,
        env=pages.environment(settings),
    )
