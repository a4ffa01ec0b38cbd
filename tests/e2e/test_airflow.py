"""The DAGs under a real scheduler: validation leads to a teacher, a model and a champion."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from covla.registry import Registry
from tests.conftest import Airflow, RunVerb

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def wait_for_run(airflow: Airflow, dag: str, known: set[str], *, timeout: float = 120) -> str:
    """The run of `dag` that an asset started."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        for run in airflow.client.runs(dag):
            if run["dag_run_id"] not in known and run["run_type"].startswith("asset"):
                return str(run["dag_run_id"])
        time.sleep(0.5)
    raise AssertionError(f"no asset started {dag}")


def test_validated_posts_end_in_a_champion(airflow: Airflow, run_verb: RunVerb) -> None:
    settings = airflow.settings
    end = datetime.now(UTC) - timedelta(minutes=5)
    window = f"{(end - timedelta(hours=3)).isoformat()}/{end.isoformat()}"
    sent = run_verb(settings, "publish", "--synthetic", 330, "--window", window, "--json")
    assert sent.json["posts_published"] == 330
    taken = run_verb(settings, "ingest", "--until-idle", 3, "--json")
    assert taken.json["posts_ingested"] == 330, taken.stderr

    client = airflow.client
    assert client.import_errors() == {}
    for dag in ("validate_posts", "distill_teacher", "retrain_covla", "monitor_drift"):
        client.wait_for_dag(dag)
    known = {
        run["dag_run_id"]
        for dag in ("distill_teacher", "retrain_covla")
        for run in client.runs(dag)
    }
    conf = {
        "window": window,
        "train_window": window,
        "gate_window": window,
    }
    client.wait("validate_posts", client.trigger("validate_posts", conf), timeout=180)
    client.wait("distill_teacher", wait_for_run(airflow, "distill_teacher", known), timeout=180)
    run = wait_for_run(airflow, "retrain_covla", known)
    client.wait("retrain_covla", run, timeout=300)
    states = client.tasks("retrain_covla", run)
    assert states == dict.fromkeys(("plan", "teach", "train", "promote"), "success")
    version, folder = Registry(settings).resolve("champion")
    assert version == "1"
    assert (folder / "reference.parquet").exists()
