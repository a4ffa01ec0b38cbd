"""Links of the page: what runs here for who is here, and what the settings name for everybody."""

import os
from typing import Any

import psutil
import pytest
from pydantic import ValidationError
from starlette.testclient import TestClient

from covla.settings import Settings
from services.rest.app import Api
from services.stack import processes


def record(settings: Settings, name: str, address: str, pid: int | None = None) -> None:
    created = psutil.Process().create_time()
    process = processes.Process(name, pid or os.getpid(), created, address, "2026-05-01", "")
    processes.record(settings, process)


@pytest.mark.parametrize(
    ("host", "client", "local"),
    [
        ("localhost:3000", "127.0.0.1", True),
        ("[::1]:3000", "::1", True),
        ("places.example.org", "127.0.0.1", False),  # through a gateway
        ("localhost:3000", "172.18.0.1", False),  # through a container's port
        ("", "testclient", False),
    ],
)
def test_what_runs_here_is_for_who_is_here(
    offline_settings: Settings, host: str, client: str, local: bool
) -> None:
    settings = offline_settings.model_copy(
        update={"page_links": '{"Airflow": "https://airflow.example.org/"}'}
    )
    record(settings, "mlflow", "http://127.0.0.1:5000")
    record(settings, "airflow", "http://127.0.0.1:8080")
    record(settings, "kafka", "127.0.0.1:9092")
    record(settings, "evidently", "http://127.0.0.1:8000", pid=2**22 - 3)  # ended
    app: Any = Api(settings).application()
    with TestClient(app, client=(client, 5000)) as browser:
        links = browser.get("/links", headers={"host": host}).json()
    mine = {"Models (MLflow)": "http://127.0.0.1:5000"} if local else {}
    assert links == mine | {"Airflow": "https://airflow.example.org/"}


@pytest.mark.parametrize("value", ["x", "[]", '{"a": 1}', '{"a": "javascript:alert(1)"}'])
def test_links_that_lead_nowhere_are_refused(value: str) -> None:
    with pytest.raises(ValidationError, match="page_links"):
        Settings(page_links=value)
