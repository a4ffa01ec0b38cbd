"""A training under Airflow's scheduler: on a disk that is full, and every task a second time."""

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from covla.files import file_sum
from covla.registry.registry import Registry
from covla.settings import Settings
from covla.time_range import TimeRange
from covla.waiting import wait_until
from features.lake import Lake
from services.stack import airflow, local, ports
from services.stack.airflow_api import AirflowClient
from tests.conftest import FreshState, RunCommand

pytestmark = [pytest.mark.slow, pytest.mark.soak, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def settings(
    kafka: Settings, tmp_path_factory: pytest.TempPathFactory, fresh_state: FreshState
) -> Settings:
    return Settings(
        state=fresh_state(tmp_path_factory.mktemp("airflow") / "state"),
        kafka_bootstrap=kafka.kafka_bootstrap,
        topic_prefix="soak-training",
        airflow_port=ports.any_free(),
        postgres_port=ports.any_free(),
    )


@pytest.fixture(scope="module")
def client(settings: Settings) -> Iterator[AirflowClient]:
    """Airflow whose clocks stand still."""
    try:
        with AirflowClient(airflow.start(settings, options={"schedule": "none"}).address) as client:
            client.wait_for_dag("retrain_covla", timeout=120)
            yield client
    finally:
        local.down(settings, log=print)


@pytest.fixture(scope="module")
def window(settings: Settings, run_command: RunCommand) -> str:
    """The time range of 330 labelled posts in the lake."""
    end = datetime.now(UTC) - timedelta(minutes=5)
    window = f"{(end - timedelta(hours=3)).isoformat()}/{end.isoformat()}"
    run_command(settings, "publish", "--synthetic", 330, "--window", window, "--json")
    taken = run_command(settings, "ingest", "--until-idle", 3, "--json")
    assert taken.json["posts_ingested"] == 330, taken.stderr
    return window


@pytest.fixture
def full_disk(settings: Settings) -> Iterator[Path]:
    """The folder of the models on a disk of one megabyte."""
    folder = settings.state / "models"
    folder.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "full", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], capture_output=True, check=False)


def test_a_training_on_a_full_disk_goes_on_when_there_is_room(
    settings: Settings, client: AirflowClient, window: str, full_disk: Path
) -> None:
    conf = {"window": window, "train_window": window, "gate_window": window}
    run = client.trigger("retrain_covla", conf)
    states = wait_until(
        lambda: client.tasks("retrain_covla", run),
        lambda tasks: tasks["train"] in {"up_for_retry", "failed", "success"},
        timeout=600,
        every=2,
    )
    assert states["train"] == "up_for_retry", client.log("retrain_covla", run, "train")
    log = client.log("retrain_covla", run, "train", attempt=1)
    assert "No space left" in log or "disk" in log
    assert "Traceback" not in log
    subprocess.run(["umount", str(full_disk)], check=True)
    client.wait("retrain_covla", run, timeout=600)
    version, folder = Registry(settings).resolve("champion")
    assert version == "1"
    assert (folder / "reference.parquet").exists()
    states = client.tasks("retrain_covla", run)
    assert states == dict.fromkeys(("plan", "teach", "train", "promote"), "success")
    note = client.note("retrain_covla", run)
    assert note.startswith("hand; ")
    assert note.endswith("version 1: the gate let it in")
    assert "exit report: ended with exit code 0" in client.log("retrain_covla", run, "train", 2)


def test_every_task_a_second_time_changes_nothing(
    settings: Settings, client: AirflowClient, window: str
) -> None:
    conf = {"window": window, "train_window": window, "gate_window": window, "as_of": ""}
    conf["as_of"] = datetime.now(UTC).isoformat()
    runs = {}
    for dag in ("validate_posts", "distill_teacher", "retrain_covla"):
        runs[dag] = client.trigger(dag, conf)
        client.wait(dag, runs[dag], timeout=600)
    first = everything(settings, window)
    assert len(first) > 10
    again = {"dry_run": False, "only_failed": False}
    for dag, run in runs.items():
        client.call("POST", f"/dags/{dag}/dagRuns/{run}/clear", json=again)
        client.wait(dag, run, timeout=600)
    assert everything(settings, window) == first


def everything(settings: Settings, window: str) -> dict[str, object]:
    """Each model, page, vector and version, by content."""
    found: dict[str, object] = {
        str(path.relative_to(settings.state)): file_sum(path)
        for folder in ("models", "reports")
        for path in sorted((settings.state / folder).rglob("*"))
        if path.is_file()
    }
    lake = Lake(settings)
    for table in ("posts", "labels", "teacher", "verdicts"):
        rows = lake.read(table, TimeRange.parse(window))[0].to_pylist()
        found[table] = sorted(str(row) for row in rows)
    registry = Registry(settings)
    found["versions"] = {alias: registry.resolve(alias)[0] for alias in ("champion",)}
    return found
