"""A task of every DAG: one `covla` command in a child process (ADR 4).

The scheduler's process never loads a model, and a command that dies leaves a report of how
(airflow#55599: torch inside a task ended as a bare SIGKILL).
"""

import json
import sys
from typing import Any

from airflow.sdk import Asset
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from include.child_process import run_child
from include.notes import note, skip

VALIDATED = Asset("covla_validated", uri="covla://posts/validated")
TEACHER = Asset("covla_teacher", uri="covla://posts/teacher")
DRIFT = Asset("covla_drift", uri="covla://posts/drift")

TOO_FEW = 2
UNAVAILABLE = 3
REFUSED = 4

Result = dict[str, Any]  # the JSON document that a command prints


class CommandFailed(AirflowFailException):
    """A command ended in a way that another try would repeat: bad input, a refusal, a bug."""


class CommandUnavailable(AirflowException):
    """A command ended because of the machine or a service; its task is tried again."""


def run_command(
    *arguments: str, minutes: float = 60, gigabytes: int = 16, accept: tuple[int, ...] = (0,)
) -> Result:
    """Run `covla ARGUMENTS --json` and return its result, with `exit_code` besides.

    Raises:
        AirflowSkipException: there are too few posts for it; the reason is the command's own.
        CommandUnavailable: exit code 3, or a signal.
        CommandFailed: another exit code than `accept`, or no end within `minutes`, or no result.
    """
    print("$ covla", *arguments, flush=True)
    command = [sys.executable, "-m", "covla.cli", *arguments, "--json"]
    report = run_child(command, minutes=minutes, gigabytes=gigabytes)
    code, last = report.exit_code, report.stdout[-1] if report.stdout else ""
    if code == TOO_FEW and last.startswith('{"skipped"'):
        skip(json.loads(last)["skipped"])
    if report.timed_out or code not in accept:
        again = code == UNAVAILABLE or (code < 0 and not report.timed_out)
        kind = CommandUnavailable if again else CommandFailed
        why = f"covla {arguments[0]} {report.reason}: {' | '.join(report.last)}"
        note(why)
        raise kind(why)
    # A command that refuses gives its reasons on stderr, after its result.
    try:
        result: Result = json.loads(last)
    except json.JSONDecodeError as error:
        raise CommandFailed(f"covla {arguments[0]} gave no JSON result: {last!r}") from error
    return result | {"exit_code": code}
