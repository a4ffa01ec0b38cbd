"""`airflow standalone` as the stack starts it: healthy, on our dags, reachable through its API."""

import pytest

from covla.errors import CovlaError, ServiceUnavailable
from services.stack import airflow as server
from services.stack.airflow_api import AirflowClient
from tests.conftest import Airflow

pytestmark = pytest.mark.slow


def test_it_is_healthy_and_reads_our_dags_folder_only(airflow: Airflow) -> None:
    assert airflow.client.healthy()
    assert airflow.client.import_errors() == {}
    assert not [name for name in airflow.client.dags() if name.startswith("example_")]
    for path in server.DAGS.glob("*.py"):
        if "@dag" in path.read_text() or "DAG(" in path.read_text():
            airflow.client.wait_for_dag(path.stem)


def test_an_unknown_dag_is_named(airflow: Airflow) -> None:
    with pytest.raises(CovlaError, match="Airflow knows no DAG 'nothing'"):
        airflow.client.wait_for_dag("nothing", timeout=0.1)
    with pytest.raises(CovlaError, match="Airflow refused POST /dags/nothing/dagRuns"):
        airflow.client.trigger("nothing")


def test_no_airflow_is_one_clear_line() -> None:
    with AirflowClient("http://127.0.0.1:1") as client:
        assert not client.healthy()
        with pytest.raises(ServiceUnavailable, match=r"127\.0\.0\.1:1 .*covla up --airflow"):
            client.dags()
