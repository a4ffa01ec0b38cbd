"""A run's note on Airflow's page: what its tasks said of it, in the order of their tasks' names.

A task cannot write the note itself: it has no access to the metadata database. It leaves an XCom
named `note`, and the scheduler, which loads this from its plugins folder, makes the note of them.
"""

import sys
from typing import Any

from airflow.listeners import hookimpl
from airflow.models.xcom import XComModel
from airflow.plugins_manager import AirflowPlugin
from airflow.utils.session import create_session
from sqlalchemy.orm import object_session

LONGEST = 1000  # characters, of the database's column


def _write(dag_run: Any) -> None:
    session = object_session(dag_run)
    if session is None:  # `airflow dags test` hands on a copy
        with create_session() as session:
            _write(session.merge(dag_run))
        return
    rows = session.scalars(
        XComModel.get_many(run_id=dag_run.run_id, dag_ids=dag_run.dag_id, key="note")
    )
    notes = [XComModel.deserialize_value(row) for row in sorted(rows, key=lambda row: row.task_id)]
    if notes:
        dag_run.note = "\n".join(notes)[:LONGEST]


@hookimpl
def on_dag_run_success(dag_run: Any, msg: str) -> None:
    """Also where all tasks were skipped."""
    del msg
    _write(dag_run)


@hookimpl
def on_dag_run_failed(dag_run: Any, msg: str) -> None:
    """What the tasks said until one failed."""
    del msg
    _write(dag_run)


class CovlaRunNotes(AirflowPlugin):
    """Registers this module."""

    name = "covla_run_notes"
    listeners = (sys.modules[__name__],)
