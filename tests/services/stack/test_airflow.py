"""The client of Airflow's API without a server; with one: tests/e2e/test_airflow.py."""

import pytest

from covla.errors import ServiceUnavailable
from services.stack.airflow_api import AirflowClient


def test_no_airflow_is_one_clear_line() -> None:
    with AirflowClient("http://127.0.0.1:1") as client:
        assert not client.healthy()
        with pytest.raises(ServiceUnavailable, match=r"127\.0\.0\.1:1 .*covla up --airflow"):
            client.dags()
