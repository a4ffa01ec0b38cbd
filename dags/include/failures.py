"""Callbacks of every task: when it fails for good it opens an alert, when it succeeds it closes it.

The subject is DAG.TASK. A callback changes nothing of its task: where the command fails, a line of
the task's log says so.
"""

import sys
from typing import Any

from airflow.sdk.exceptions import AirflowFailException

from include.child_process import run_child

LONGEST = 600  # characters of what the task failed with


class Alerted(AirflowFailException):
    """A task that fails for what its command has opened an alert of already."""


def task_failed(context: Any) -> None:
    """Open the alert of a task that is not tried again, with its reason and its log's address."""
    ti = context["ti"]
    error = context.get("exception")
    if isinstance(error, Alerted):
        return
    reason = " ".join(str(error or "no reason is known").split())[:LONGEST]
    summary = f"task {ti.task_id} of run {ti.run_id} failed: {reason}"
    options = ["--summary", summary, "--run", f"{ti.dag_id}/{ti.run_id}"]
    log_url = getattr(ti, "log_url", None)
    _alert("open", ti, *options, *(["--report", log_url] if log_url else []))


def task_succeeded(context: Any) -> None:
    """Close the task's alert, where one is open."""
    ti = context["ti"]
    _alert("close", ti, "--summary", f"task {ti.task_id} of run {ti.run_id} ended well")


def _alert(what: str, ti: Any, *options: str) -> None:
    subject = ["--kind", "task", "--subject", f"{ti.dag_id}.{ti.task_id}"]
    command = [sys.executable, "-m", "covla.cli", "alerts", what, *subject, *options, "--json"]
    report = run_child(command, minutes=5, gigabytes=4)
    if report.exit_code:
        print(f"the alert of this task was not kept: covla alerts {what} {report.reason}")
