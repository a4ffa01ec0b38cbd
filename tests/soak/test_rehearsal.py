"""docker-compose.yml with the profile airflow: a validation and a retrain over Airflow's API with
its user and password, a first champion, equal predictions of REST and stream, a drift report."""

from collections.abc import Iterator

import httpx
import pytest

from covla.settings import Settings
from covla.waiting import wait_until
from services.stack.airflow_api import AirflowClient
from tests.rehearsed import ROOT, Rehearsal, compare, ingested, needs_namespaces, rehearsal, secrets

pytestmark = [pytest.mark.slow, pytest.mark.soak, needs_namespaces, pytest.mark.timeout(900)]

HISTORY = "2026-05-01T00:00:00Z/2026-05-01T12:00:00Z"
LIVE = "2026-05-01T12:00:00Z/2026-05-01T18:00:00Z"
POSTS, LATER = 220, 120
AIRFLOW = ("airflow-api", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    folder = tmp_path_factory.mktemp("rehearsal")
    options = ["--profile", "airflow", "--scale", "stream=2", "--scale", "ingest=2"]
    given = secrets(folder / "env")
    with rehearsal(Settings(state=folder / "state"), ROOT, given, *options) as started:
        yield started


@pytest.fixture(scope="module")
def airflow(running: Rehearsal) -> Iterator[AirflowClient]:
    running.wait(*AIRFLOW)
    login = running.environment["AIRFLOW_USER"], running.environment["AIRFLOW_PASSWORD"]
    with AirflowClient(running.address("airflow-api", 8080), login) as client:
        yield client


def run(client: AirflowClient, dag: str, **conf: str) -> str:
    """Run a DAG to its end; its run id."""
    client.wait_for_dag(dag)
    run_id = client.trigger(dag, conf)
    client.wait(dag, run_id, timeout=400)
    return run_id


def test_posts_become_a_champion_and_predictions(
    running: Rehearsal, airflow: AirflowClient
) -> None:
    running.exec("ingest", "covla", "publish", "--synthetic", str(POSTS), "--window", HISTORY)
    ingested(running, POSTS)
    assert airflow.healthy()
    validated = run(airflow, "validate_posts", window=HISTORY)
    assert '"success":true' in airflow.log("validate_posts", validated, "validate")
    windows = {"window": HISTORY, "train_window": HISTORY, "gate_window": HISTORY}
    retrained = run(airflow, "retrain_covla", preset="tiny", **windows)
    assert "$ covla promote" in airflow.log("retrain_covla", retrained, "promote")
    running.wait("rest", "stream-1", "stream-2", timeout=120)
    assert compare(running, POSTS) == {"predictions": POSTS, "versions": ["1"], "differ": []}


def test_a_drift_report_is_in_the_page(running: Rehearsal, airflow: AirflowClient) -> None:
    arguments = ("--synthetic", str(LATER), "--seed", "3", "--window", LIVE)
    running.exec("ingest", "covla", "publish", *arguments)
    ingested(running, POSTS + LATER)
    run(airflow, "monitor_drift", window=LIVE)
    page = running.address("evidently", 8000)
    # The page looks at its folder now and then.
    (project,) = wait_until(
        lambda: httpx.get(f"{page}/api/projects", trust_env=False).json(), timeout=60
    )
    reports = httpx.get(f"{page}/api/projects/{project['id']}/snapshots", trust_env=False).json()
    assert len(reports) == 1


def test_a_stranger_is_refused_by_airflow(running: Rehearsal) -> None:
    address = running.address("airflow-api", 8080)
    assert httpx.get(f"{address}/api/v2/dags", trust_env=False).status_code == 401
    wrong = {"username": "admin", "password": "admin"}
    answer = httpx.post(f"{address}/auth/token", json=wrong, trust_env=False)
    assert answer.status_code == 401
