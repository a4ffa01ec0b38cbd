"""What a task leaves for the note of its run (dags/plugins/covla_run_notes.py)."""

from typing import NoReturn

from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowSkipException


def note(text: str) -> None:
    """The task's part of the run's note; a second one takes the place of the first."""
    get_current_context()["ti"].xcom_push("note", text)


def skip(why: str) -> NoReturn:
    """Skip the task and what follows it; the run's note says why.

    Raises:
        AirflowSkipException: always.
    """
    note(why)
    raise AirflowSkipException(why)
