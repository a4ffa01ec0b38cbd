"""Evidently's workspace page on this machine, over `<state>/evidently`."""

import sys
from pathlib import Path

from covla.settings import Settings
from services.stack import pages, ports, processes
from services.stack.processes import Process

NAME = "evidently"


def start(settings: Settings) -> Process:
    """Start `evidently ui` on `<state>/evidently`, or return the one that runs.

    Raises:
        CovlaError: a port set by hand is taken.
        ServiceUnavailable: the page does not come up.
    """
    if running := processes.running(settings, NAME):
        return running
    workspace = settings.state.absolute() / "evidently"
    workspace.mkdir(parents=True, exist_ok=True)
    port = ports.choose(settings, "evidently_port")
    address = f"http://{ports.LOOPBACK}:{port}"
    program = Path(sys.executable).with_name("evidently")
    command = [str(program), "ui", "--host", ports.LOOPBACK, "--port", str(port)]
    return processes.start(
        settings,
        NAME,
        [*command, "--workspace", str(workspace)],
        address=address,
        ready=lambda: answers(address),
        timeout=120,
        env=pages.environment(settings),
    )


def answers(address: str) -> bool:
    """Whether the page's API gives its version."""
    return pages.answers(f"{address}/api/version")
