"""MLflow's server on this machine: the page and API over the state folder's SQLite registry."""

import sys

from covla.errors import CovlaError
from covla.settings import Settings
from services.stack import pages, ports, processes
from services.stack.processes import Process

NAME = "mlflow"


def start(settings: Settings) -> Process:
    """Start `mlflow server` on `<state>/mlflow`, or return the one that runs.

    Raises:
        CovlaError: COVLA_MLFLOW_URI names another server, or a port set by hand is taken.
        ServiceUnavailable: the server does not come up.
    """
    if running := processes.running(settings, NAME):
        return running
    if not settings.mlflow.startswith("sqlite:"):
        raise CovlaError(
            "COVLA_MLFLOW_URI names an MLflow server of its own",
            hint="Unset it to start a local one, or leave mlflow out",
        )
    artifacts = settings.state.absolute() / "mlflow" / "artifacts"
    artifacts.mkdir(parents=True, exist_ok=True)
    port = ports.choose(settings, "mlflow_port")
    address = f"http://{ports.LOOPBACK}:{port}"
    command = [sys.executable, "-m", "services.stack.mlflow_page", "server"]
    command += ["--host", ports.LOOPBACK]
    command += ["--port", str(port), "--workers", "1", "--backend-store-uri", settings.mlflow]
    # Absolute folders, not a proxy: a client on SQLite and a client of this server see one store.
    command += ["--default-artifact-root", artifacts.as_uri()]
    command += ["--artifacts-destination", artifacts.as_uri()]
    env = pages.environment(settings) | {
        # Whatever the operator's shell sets: the README promises that nothing is reported.
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # Its job queue for model judging is four processes that nothing here uses.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    return processes.start(
        settings,
        NAME,
        command,
        address=address,
        ready=lambda: answers(address),
        timeout=120,
        env=env,
    )


def answers(address: str) -> bool:
    """Whether the server reports that it is healthy."""
    return pages.answers(f"{address}/health")
