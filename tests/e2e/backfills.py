"""Backfills of an Airflow on SQLite."""

from datetime import datetime

from covla.errors import CovlaError
from covla.waiting import wait_until
from services.stack.airflow_api import AirflowClient


def backfill(client: AirflowClient, dag: str, first: datetime, last: datetime) -> None:
    """Have Airflow make the runs of the intervals that begin from `first` to `last`.

    On SQLite it refuses while its scheduler writes; that passes.
    """
    dates = {"from_date": first.isoformat(), "to_date": last.isoformat()}

    def refusal() -> str:
        try:
            client.call("POST", "/backfills", json={"dag_id": dag, **dates})
        except CovlaError as error:
            return str(error)
        return ""

    why = wait_until(refusal, lambda why: "Database is locked" not in why, timeout=180, every=3)
    assert not why, why
