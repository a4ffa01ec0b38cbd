"""The DAGs under a real scheduler: by its clock, as a backfill, and by an alert; to a champion:
tests/e2e/test_demo.py, tests/soak/test_training.py."""

import shutil
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from covla.errors import CovlaError
from covla.kafka.clients import ensure_topics
from covla.schemas.alert import Alert
from covla.settings import Settings
from covla.time_range import TimeRange
from covla.waiting import wait_until
from features.validation import validate
from monitoring.alerts import open_alert
from monitoring.alerts.store import kept_alerts, read
from services.stack import airflow, local, ports, processes
from services.stack.airflow_api import AirflowClient
from tests.conftest import FreshState
from tests.faults.wire import Wire, send
from tests.features.old_rows import label_row, post_row, put

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
        postgres_port=ports.any_free(),
    )


@pytest.fixture(scope="module")
def client(settings: Settings) -> Iterator[AirflowClient]:
    """A running `airflow standalone` on the DAGs of the repository, with their own clocks."""
    process = airflow.start(settings)
    try:
        with AirflowClient(process.address) as client:
            yield client
    finally:
        local.down(settings, log=print)


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

    client.backfill("validate_posts", START, hours[-1].start)
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


def test_a_drift_alert_of_any_process_starts_one_retrain(
    settings: Settings, client: AirflowClient
) -> None:
    """From the topic: two drift alerts at once begin one retrain, other records none."""
    day = TimeRange(START - 30 * 24 * HOUR, START - 29 * 24 * HOUR)  # of labels, and of no post
    put(settings, [], [label_row(i, day.start) for i in range(60)])
    send(settings, ensure_topics(settings).alerts, [Wire(b'{"schema_version": 3}')])
    record = processes.find(settings, "airflow")
    assert record
    log = Path(record.log)
    open_alert(settings, kind="task", subject="a.b", summary="it failed", at=datetime.now(UTC))
    wait_until(
        lambda: log.read_text(errors="replace"),
        lambda text: "version 3 is unknown" in text and "an alert of kind 'task'" in text,
        timeout=120,
        error=lambda text: AssertionError(text[-3000:]),
    )
    assert not [run for run in client.runs("retrain_covla") if run.run_type == "asset_triggered"]

    def drift(subject: str) -> Alert | None:
        at, text = datetime.now(UTC), f"{subject} drifted"
        return open_alert(settings, kind="drift", subject=subject, summary=text, at=at, window=day)

    with ThreadPoolExecutor() as pool:
        alerts = [alert for alert in pool.map(drift, ("image", "text")) if alert]
    assert len(alerts) == 2
    assert drift("image") is None  # it is open
    first = wait_until(
        lambda: [run for one in kept_alerts(settings) for run in one.retrains],
        lambda found: len(found) > 0,
        timeout=300,
        error=AssertionError,
    )[0]
    assert (first.due, first.why) == (True, "drift; 60 new labelled posts")
    client.wait("retrain_covla", first.run_id.removeprefix("retrain_covla/"), timeout=300)

    # Airflow may make one run of two alerts; where it makes two, the second waits for the first.
    # What comes while it waits is kept for the run after it (ADR 25).
    wait_until(
        lambda: sum(len(one.retrains) for one in kept_alerts(settings)),
        lambda count: count == 2,
        timeout=60,
    )
    for made_run in client.runs("retrain_covla"):
        client.wait("retrain_covla", made_run.run_id, timeout=300)
    later = drift("missing")
    assert later
    run = wait_until(
        lambda: read(settings, later.alert_id),
        lambda kept: kept is not None and len(kept.retrains) == 1,
        timeout=300,
        error=AssertionError,
    )
    assert run
    made = [one for kept in kept_alerts(settings) for one in kept.retrains]
    assert [one.why for one in made if one.due] == [first.why]
    (refused,) = run.retrains
    assert refused.why.startswith("cooldown until")
    run_id = refused.run_id.removeprefix("retrain_covla/")
    client.wait("retrain_covla", run_id, timeout=300)
    note = f"{refused.why}; alert {later.alert_id}: missing drifted"
    assert client.note("retrain_covla", run_id) == note
