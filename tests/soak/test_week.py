"""A week of hours under Airflow's scheduler: made late, it is what it would have been on time."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psutil
import pytest

from covla.settings import Settings
from covla.time_range import TimeRange
from covla.waiting import wait_until
from features.validation import validate
from services.stack import airflow, local, ports, processes
from services.stack.airflow_api import AirflowClient
from tests.conftest import FreshState
from tests.features.old_rows import post_row, put

pytestmark = [pytest.mark.slow, pytest.mark.soak, pytest.mark.timeout(7200)]
START, HOUR = datetime(2026, 5, 1, tzinfo=UTC), timedelta(hours=1)
LATE = timedelta(minutes=10)
HOURS = [TimeRange(START + n * HOUR, START + (n + 1) * HOUR) for n in range(7 * 24)]
QUIET = {n for n in range(len(HOURS)) if n % 24 == 3}  # an hour of each night has no post


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, fresh_state: FreshState) -> Settings:
    """A lake with ten posts an hour, each there in time."""
    settings = Settings(
        state=fresh_state(tmp_path_factory.mktemp("airflow") / "state"),
        airflow_port=ports.any_free(),
        postgres_port=ports.any_free(),
    )
    rows = [
        post_row(10 * n + i, hour.start + i * timedelta(minutes=5), created_timestamp=hour.end)
        for n, hour in enumerate(HOURS)
        if n not in QUIET
        for i in range(10)
    ]
    put(settings, rows, [])
    return settings


@pytest.fixture(scope="module")
def client(settings: Settings) -> Iterator[AirflowClient]:
    """Airflow with its clocks; the DAGs that this test does not look at are paused."""
    process = airflow.start(settings, options={"guard_schedule": "none"})
    try:
        with AirflowClient(process.address) as client:
            for path in airflow.DAGS.glob("*.py"):
                client.wait_for_dag(path.stem, timeout=120)
                if path.stem != "validate_posts":
                    client.pause(path.stem)
            yield client
    finally:
        local.down(settings, log=print)


def made(client: AirflowClient) -> list[dict[str, str]]:
    """Runs of the backfill, of which a page of the API has a hundred at most."""
    runs: list[dict[str, str]] = []
    while True:
        page = client.call(
            "GET",
            "/dags/validate_posts/dagRuns",
            params={"limit": 100, "offset": len(runs), "run_type": "backfill"},
        )
        runs += page["dag_runs"]
        if not page["dag_runs"] or len(runs) >= page["total_entries"]:
            return runs


def pages(settings: Settings) -> dict[str, bytes]:
    """What was written of the week."""
    files = (settings.reports / "validation").glob("202605*")
    return {path.name: path.read_bytes() for path in files}


def test_a_week_made_late_has_the_bytes_of_the_week_on_time(
    settings: Settings, client: AirflowClient
) -> None:
    reports = settings.reports / "validation"
    for hour in HOURS:
        validate(hour, settings, hour.end + LATE)
    on_time = pages(settings)
    assert len(on_time) == 2 * len(HOURS)
    shutil.rmtree(reports)
    late = [
        post_row(10_000 + n, hour.start, created_timestamp=hour.end + 48 * HOUR)
        for n, hour in enumerate(HOURS)
    ]
    put(settings, late, [])

    client.backfill("validate_posts", START, HOURS[-1].start)
    runs = wait_until(
        lambda: made(client),
        lambda runs: (
            len(runs) == len(HOURS) and all(run["state"] in {"success", "failed"} for run in runs)
        ),
        timeout=6000,
        every=5,
        error=lambda runs: AssertionError(f"{len(runs)} runs: {[r['state'] for r in runs]}"),
    )
    assert [run["state"] for run in runs] == ["success"] * len(HOURS)
    states = [client.tasks("validate_posts", run["dag_run_id"])["validate"] for run in runs]
    assert states.count("skipped") == len(QUIET)
    assert client.healthy()
    assert pages(settings) == on_time


def test_a_scheduler_that_ended_is_found_and_started_again(
    settings: Settings, client: AirflowClient
) -> None:
    record = processes.find(settings, "airflow")
    assert record
    schedulers = [
        process
        for process in psutil.Process(record.pid).children(recursive=True)
        if process.as_dict(["cmdline"], ad_value=[])["cmdline"][-1:] == ["scheduler"]
    ]
    assert schedulers
    for process in schedulers:
        process.kill()
    wait_until(lambda: not client.healthy(), timeout=120, error=lambda _: AssertionError())
    again = airflow.start(settings, options={"guard_schedule": "none"})
    assert again.pid != record.pid
    with AirflowClient(again.address) as other:
        assert other.healthy()
        assert len(made(other)) == len(HOURS)
