"""A task of every DAG: one `covla` command in a child process (ADR 4).

The scheduler's process never loads a model. A command that dies leaves its exit code or signal
and the end of what it wrote (airflow#55599: torch inside a task ended as a bare SIGKILL).
"""

import json
import resource
import signal
import subprocess
import sys
from functools import partial
from typing import Any

from airflow.configuration import conf
from airflow.sdk import Asset, dag
from airflow.sdk.exceptions import AirflowException, AirflowSkipException

VALIDATED = Asset("covla_validated", uri="covla://posts/validated")
TEACHER = Asset("covla_teacher", uri="covla://posts/teacher")
DRIFT = Asset("covla_drift", uri="covla://posts/drift")

REFUSED = 4
TOO_FEW = 2

# One run at a time, and none for time ranges that have gone by.
covla_dag = partial(dag, catchup=False, max_active_runs=1, tags=["covla"])

Result = dict[str, Any]  # the JSON document that a command prints

# Section [covla], option schedule of Airflow's own configuration; "none" for runs by hand alone.
_schedule = conf.get("covla", "schedule", fallback="@hourly")
SCHEDULE = None if _schedule == "none" else _schedule


class CommandFailed(AirflowException):
    """A command ended with another exit code than its task accepts."""


def _limit_memory(gigabytes: int) -> None:
    # Private data alone: address space would count every mapped library and model file.
    resource.setrlimit(resource.RLIMIT_DATA, (gigabytes << 30, gigabytes << 30))


def run_command(
    *arguments: str, minutes: float = 60, gigabytes: int = 16, accept: tuple[int, ...] = (0,)
) -> Result:
    """Run `covla ARGUMENTS --json` and return its result, with `exit_code` besides.

    Raises:
        AirflowSkipException: there are too few posts for it; the reason is the command's own.
        CommandFailed: another exit code than `accept`, a signal, or no result within `minutes`.
    """
    child = [sys.executable, "-m", "covla.cli", *arguments, "--json"]
    print("$ covla", *arguments, flush=True)
    try:
        completed = subprocess.run(
            child,
            capture_output=True,
            text=True,
            timeout=minutes * 60,
            check=False,
            preexec_fn=lambda: _limit_memory(gigabytes),
        )
    except subprocess.TimeoutExpired as error:
        raise CommandFailed(f"covla {arguments[0]} did not end within {minutes} minutes") from error
    print(completed.stderr, completed.stdout, sep="\n", flush=True)
    lines = completed.stdout.strip().splitlines()
    if completed.returncode == TOO_FEW and lines and lines[-1].startswith('{"skipped"'):
        raise AirflowSkipException(json.loads(lines[-1])["skipped"])
    if completed.returncode not in accept:
        how = f"exit code {completed.returncode}"
        if completed.returncode < 0:
            how = f"{signal.Signals(-completed.returncode).name} (out of memory?)"
        ends = f"{completed.stdout}\n{completed.stderr}".strip().splitlines()[-3:]
        raise CommandFailed(f"covla {arguments[0]} ended with {how}: {' | '.join(ends)}")
    # A command that refuses gives its reasons on stderr, after its result.
    try:
        result: Result = json.loads(lines[-1])
    except (IndexError, json.JSONDecodeError) as error:
        raise CommandFailed(f"covla {arguments[0]} gave no JSON result: {lines[-3:]}") from error
    return result | {"exit_code": completed.returncode}
