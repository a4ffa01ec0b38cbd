"""The DAGs under a real scheduler: by its clock, as a backfill, and by hand to a champion."""

import shutil
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from covla.errors import CovlaError
from covla.registry.registry import Registry
from covla.settings import Settings
from covla.time_range import TimeRange
from covla.waiting import wait_until
from features.validation import validate
from services.stack import airflow, ports, processes
from services.stack.airflow_api import AirflowClient
from tests.conftest import FreshState, RunCommand
from tests.features.old_rows import post_row, put

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
START, HOUR = datetime(2026, 5, 1, tzinfo=UTC), timedelta(hours=1)


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
    """A running `airflow standalone` on the DAGs of the repository, with their own clocks."""
    process = airflow.start(settings)
    try:
        with AirflowClient(process.address) as client:
            yield client
    finally:
        processes.stop(settings, "airflow")


def runs_of_type(client: AirflowClient, dag: str, kind: str, count: int = 1) -> list[str]:
    """Waits for so many runs of a DAG that were started in this way; newest first."""
    return wait_until(
        lambda: [run.run_id for run in client.runs(dag) if run.run_type == kind],
        lambda runs: len(runs) == count,
        timeout=180,
        error=lambda runs: AssertionError(f"{kind} runs of {dag}: {runs}"),
    )


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


@pytest.mark.parametrize(
    ("dag", "task", "why"),
    [
        ("validate_posts", "validate", "no post in the window"),
        ("monitor_drift", "drift", "there is no champion yet"),
        ("distill_teacher", "teach", "no post in the window"),
        ("retrain_covla", "plan", "0 new labelled posts, at least 50 are needed"),
    ],
)
def test_the_clock_starts_each_dag_once_and_a_quiet_interval_is_skipped(
    client: AirflowClient, dag: str, task: str, why: str
) -> None:
    (run,) = runs_of_type(client, dag, "scheduled")
    client.wait(dag, run, timeout=240)
    assert client.tasks(dag, run)[task] == "skipped"
    assert why in client.note(dag, run)


def test_a_backfill_and_a_cleared_run_give_the_bytes_of_the_run_on_time(
    settings: Settings, client: AirflowClient
) -> None:
    """Three hours of May whose posts were in the lake in time, and a post that came later."""
    hours = [TimeRange(START + n * HOUR, START + (n + 1) * HOUR) for n in range(3)]
    rows = [
        post_row(i, hour.start, created_timestamp=hour.end)
        for n, hour in enumerate(hours)
        for i in range(20 * n, 20 * n + 20)
    ]
    put(settings, rows, [])
    for hour in hours:
        validate(hour, settings, hour.end + timedelta(minutes=10))
    reports = settings.reports / "validation"
    on_time = {path.name: path.read_bytes() for path in reports.glob("20260501*")}
    assert len(on_time) == 2 * len(hours)
    shutil.rmtree(reports)
    put(settings, [post_row(99, START, created_timestamp=START + 10 * HOUR)], [])

    dates = {"from_date": START.isoformat(), "to_date": hours[-1].start.isoformat()}
    client.call("POST", "/backfills", json={"dag_id": "validate_posts", **dates})
    made = runs_of_type(client, "validate_posts", "backfill", len(hours))
    for run in made:
        client.wait("validate_posts", run, timeout=240)
        assert client.tasks("validate_posts", run) == {"validate": "success"}
    assert {path.name: path.read_bytes() for path in reports.glob("20260501*")} == on_time

    shutil.rmtree(reports)
    clear = {"dry_run": False, "only_failed": False}
    client.call("POST", f"/dags/validate_posts/dagRuns/{made[0]}/clear", json=clear)
    client.wait("validate_posts", made[0], timeout=240)
    (page,) = reports.glob("20260501*.html")
    assert page.read_bytes() == on_time[page.name]


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
    for dag in ("validate_posts", "distill_teacher", "retrain_covla"):
        run = client.trigger(dag, conf)
        client.wait(dag, run, timeout=300)
    states = client.tasks("retrain_covla", run)
    assert states == dict.fromkeys(("plan", "teach", "train", "promote"), "success")
    version, folder = Registry(settings).resolve("champion")
    assert version == "1"
    assert (folder / "reference.parquet").exists()
    note = client.note("retrain_covla", run)
    assert note.startswith("hand; ")
    assert note.endswith("version 1: the gate let it in")
    assert "exit report: ended with exit code 0" in client.log("retrain_covla", run, "train")
