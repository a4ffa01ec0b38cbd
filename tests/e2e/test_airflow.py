"""The DAGs under a real scheduler: validation leads to a teacher, a model and a champion."""

import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from covla.errors import CovlaError
from covla.registry.registry import Registry
from covla.settings import Settings
from services.stack import airflow, ports, processes
from services.stack.airflow_api import AirflowClient
from tests.conftest import FreshState, RunCommand

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def settings(
    kafka: Settings, tmp_path_factory: pytest.TempPathFactory, fresh_state: FreshState
) -> Settings:
    """What Airflow and its tasks are given: a state folder and topics of their own."""
    return Settings(
        state=fresh_state(tmp_path_factory.mktemp("airflow") / "my 100% stäte #1 [a]?"),
        kafka_bootstrap=kafka.kafka_bootstrap,
        topic_prefix=f"t-{uuid.uuid4().hex[:12]}",
        airflow_port=ports.any_free(),
    )


@pytest.fixture(scope="module")
def client(settings: Settings) -> Iterator[AirflowClient]:
    """A running `airflow standalone` on the DAGs of the repository."""
    process = airflow.start(settings, schedule="none")  # no run by the clock beside a test
    try:
        with AirflowClient(process.address) as client:
            yield client
    finally:
        processes.stop(settings, "airflow")


def wait_for_run(client: AirflowClient, dag: str, *, timeout: float = 120) -> str:
    """The run of `dag` that an asset started."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        for run in client.runs(dag):
            if run.run_type.startswith("asset"):
                return run.run_id
        time.sleep(0.5)
    raise AssertionError(f"no asset started {dag}")


def test_it_is_healthy_and_reads_our_dags_folder_only(
    settings: Settings, client: AirflowClient
) -> None:
    assert client.healthy()
    assert (settings.state / "airflow" / "logs" / "dag_processor").is_dir()
    assert not Path("{AIRFLOW_HOME}").exists()
    assert client.import_errors() == {}
    assert not [name for name in client.dags() if name.startswith("example_")]
    for path in airflow.DAGS.glob("*.py"):
        client.wait_for_dag(path.stem)


def test_an_unknown_dag_is_named(client: AirflowClient) -> None:
    with pytest.raises(CovlaError, match="Airflow knows no DAG 'nothing'"):
        client.wait_for_dag("nothing", timeout=0.1)
    with pytest.raises(CovlaError, match="Airflow refused POST /dags/nothing/dagRuns"):
        client.trigger("nothing")


def test_validated_posts_end_in_a_champion(
    settings: Settings, client: AirflowClient, run_command: RunCommand
) -> None:
    end = datetime.now(UTC) - timedelta(minutes=5)
    window = f"{(end - timedelta(hours=3)).isoformat()}/{end.isoformat()}"
    sent = run_command(settings, "publish", "--synthetic", 330, "--window", window, "--json")
    assert sent.json["posts_published"] == 330
    taken = run_command(settings, "ingest", "--until-idle", 3, "--json")
    assert taken.json["posts_ingested"] == 330, taken.stderr

    conf = {"window": window, "train_window": window, "gate_window": window}
    client.wait("validate_posts", client.trigger("validate_posts", conf), timeout=180)
    client.wait("distill_teacher", wait_for_run(client, "distill_teacher"), timeout=180)
    run = wait_for_run(client, "retrain_covla")
    client.wait("retrain_covla", run, timeout=300)
    states = client.tasks("retrain_covla", run)
    assert states == dict.fromkeys(("plan", "teach", "train", "promote"), "success")
    version, folder = Registry(settings).resolve("champion")
    assert version == "1"
    assert (folder / "reference.parquet").exists()
