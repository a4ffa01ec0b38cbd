"""What Airflow makes of kills, its database's too: the run ends well, with the bytes of a run in
peace."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta

import psutil
import pytest

from covla.settings import Settings
from covla.time_range import TimeRange
from covla.waiting import wait_until
from features.validation import validate
from services.stack import airflow, local, ports, postgres, processes
from services.stack.airflow_api import AirflowClient
from tests.conftest import FreshState
from tests.features.old_rows import post_row, put

pytestmark = [pytest.mark.slow, pytest.mark.soak, pytest.mark.timeout(1800)]
START, HOUR = datetime(2026, 5, 1, tzinfo=UTC), timedelta(hours=1)
HOURS = [TimeRange(START + n * HOUR, START + (n + 1) * HOUR) for n in range(4)]
QUICK = {  # Airflow's own patience with a task that is gone is five minutes
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
}

Start = Callable[[], AbstractContextManager[AirflowClient]]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, fresh_state: FreshState) -> Settings:
    """A lake with twenty posts an hour, each there in time; the clocks stand still."""
    settings = Settings(
        state=fresh_state(tmp_path_factory.mktemp("airflow") / "state"),
        airflow_port=ports.any_free(),
        postgres_port=ports.any_free(),
    )
    rows = [
        post_row(f"{n}-{i}", hour.start + i * timedelta(minutes=2), created_timestamp=hour.end)
        for n, hour in enumerate(HOURS)
        for i in range(20)
    ]
    put(settings, rows, [])
    return settings


@pytest.fixture(scope="module")
def start(settings: Settings) -> Iterator[Start]:
    """Starts Airflow where it does not run, with the address that it had."""
    patch = pytest.MonkeyPatch()
    for name, value in QUICK.items():
        patch.setenv(name, value)

    def started() -> AirflowClient:
        return AirflowClient(airflow.start(settings, options={"schedule": "none"}).address)

    yield started
    local.down(settings, log=print)
    patch.undo()


def commands(settings: Settings, name: str) -> list[psutil.Process]:
    """Running `covla NAME` of this state folder."""
    found = []
    for process in psutil.process_iter(["cmdline", "environ"]):
        line, environment = process.info["cmdline"] or [], process.info["environ"] or {}
        ours = environment.get("COVLA_STATE") == str(settings.state.absolute())
        if ours and "covla.cli" in line and name in line:
            found.append(process)
    return found


def running_command(settings: Settings, name: str) -> psutil.Process:
    found = wait_until(
        lambda: commands(settings, name),
        timeout=120,
        every=0.1,
        error=lambda _: AssertionError(f"covla {name} does not run"),
    )
    return found[0]


def one_hour(settings: Settings, client: AirflowClient, number: int) -> str:
    """Begin a validation of an hour; its run id."""
    shutil.rmtree(settings.reports, ignore_errors=True)
    client.wait_for_dag("validate_posts", timeout=120)
    window = HOURS[number]
    as_of = (window.end + timedelta(minutes=10)).isoformat()
    return client.trigger("validate_posts", {"window": str(window), "as_of": as_of})


def page_of(settings: Settings, number: int) -> bytes:
    return (settings.reports / "validation" / f"{HOURS[number].slug}.html").read_bytes()


def by_hand(settings: Settings, number: int) -> bytes:
    validate(HOURS[number], settings, HOURS[number].end + timedelta(minutes=10))
    return page_of(settings, number)


def test_a_command_that_is_killed_is_tried_again_and_named(
    settings: Settings, start: Start
) -> None:
    expected = by_hand(settings, 0)
    with start() as client:
        run = one_hour(settings, client, 0)
        running_command(settings, "validate").kill()
        client.wait("validate_posts", run, timeout=400)
        log = client.log("validate_posts", run, "validate", attempt=1)
    assert "was ended by SIGKILL" in log
    assert page_of(settings, 0) == expected


def test_a_task_process_that_is_killed_is_found_and_tried_again(
    settings: Settings, start: Start
) -> None:
    expected = by_hand(settings, 1)
    with start() as client:
        run = one_hour(settings, client, 1)
        command = running_command(settings, "validate")
        supervisors = command.parents()[:2]  # the task, and what watches over it
        for process in [*supervisors, command]:
            process.kill()
        client.wait("validate_posts", run, timeout=400)
    assert page_of(settings, 1) == expected


def test_airflow_that_is_killed_mid_run_ends_the_run_when_it_is_back(
    settings: Settings, start: Start
) -> None:
    expected = by_hand(settings, 2)
    with start() as client:
        run = one_hour(settings, client, 2)
        running_command(settings, "validate")
    record = processes.find(settings, "airflow")
    assert record
    family = psutil.Process(record.pid).children(recursive=True)
    os.kill(record.pid, signal.SIGKILL)
    for process in family:
        if process.is_running():
            process.kill()
    with start() as client:
        client.wait("validate_posts", run, timeout=600)
    assert page_of(settings, 2) == expected


def test_a_database_that_goes_away_mid_run_loses_nothing(settings: Settings, start: Start) -> None:
    expected = by_hand(settings, 3)
    with start() as client:
        run = one_hour(settings, client, 3)
        running_command(settings, "validate")
        database = processes.find(settings, "postgres")
        assert database
        os.kill(database.pid, signal.SIGKILL)
        wait_until(lambda: not client.healthy(), timeout=60, error=lambda _: AssertionError())
    assert not postgres.answers(database.address)
    with start() as client:
        client.wait("validate_posts", run, timeout=600)
        assert client.runs("validate_posts")[0].run_id == run
    assert page_of(settings, 3) == expected
