"""docker-compose.yml once through: every service as the file says, posts to predictions, a retrain
over Airflow's API, a drift report, metrics; then every line that docs/production.md has for it."""

import json
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from covla.settings import Settings
from services.stack.airflow_api import AirflowClient
from tests.rehearsed import ROOT, Rehearsal, needs_namespaces, rehearsal, secrets

pytestmark = [pytest.mark.slow, needs_namespaces, pytest.mark.timeout(900)]

HISTORY = "2026-05-01T00:00:00Z/2026-05-01T12:00:00Z"
LIVE = "2026-05-01T12:00:00Z/2026-05-01T18:00:00Z"
POSTS, LATER = 220, 120
WORKERS = ("ingest-1", "ingest-2", "stream-1", "stream-2")
AIRFLOW = ("airflow-api", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer")
STORES = ("kafka", "valkey", "postgres", "mlflow", "evidently")
# The panels' queries look back five minutes; a rate needs two scrapes.
SCRAPES_SECONDS = 120
MONITORING = all(map(shutil.which, ("prometheus", "promtool", "prometheus-alertmanager", "amtool")))
COMPARE = """
import json, time
import httpx
from covla.kafka import clients
from covla.settings import get_settings

settings = get_settings()
topics = clients.Topics.of(settings)

def values(topic):
    consumer = clients.consumer(settings, topic, group=None)
    found, until = {}, time.monotonic() + 90
    while len(found) < POSTS and time.monotonic() < until:
        for records in consumer.poll(timeout_ms=500).values():
            found |= {record.key.decode(): record.value for record in records}
    consumer.close(autocommit=False)
    return found

posts, streamed = values(topics.posts), values(topics.predictions)
differ = []
for post_id in list(streamed)[:20]:
    answer = httpx.post("http://rest:3000/predict", content=posts[post_id], timeout=60,
                        headers={"content-type": "application/json"})
    rest, stream = json.loads(answer.text), json.loads(streamed[post_id])
    own = ("predicted_at", "latency_ms")
    if any(rest.get(key) != value for key, value in stream.items() if key not in own):
        differ.append([rest, stream])
versions = sorted({json.loads(value)["model_version"] for value in streamed.values()})
print(json.dumps({"predictions": len(streamed), "versions": versions, "differ": differ}))
"""
WEBHOOK = "http://ingest-1:9095/alerts?from=covla&to=us"
RECEIVE = """
import http.server

class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        print(self.path, self.rfile.read(int(self.headers["Content-Length"])).decode(), flush=True)
        self.send_response(200)
        self.end_headers()

server = http.server.HTTPServer(("", 9095), Receiver)
server.timeout = 120
server.handle_request()
"""
BROKEN = """
from covla.kafka import clients
from covla.settings import get_settings

producer = clients.producer(get_settings())
producer.send("covla.posts", key=b"broken", value=b"not json").get(timeout=30)
producer.close()
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    """Everything that can be run here, two stream and two ingest workers."""
    folder = tmp_path_factory.mktemp("rehearsal")
    options = ["--profile", "airflow", "--scale", "stream=2", "--scale", "ingest=2"]
    options += ["--profile", "monitoring"] if MONITORING else []
    given = secrets(folder / "env") | {"ALERT_WEBHOOK_URL": WEBHOOK}
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


def ingested(running: Rehearsal) -> None:
    """Wait until both workers together have no lag."""
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        answers = [
            json.loads(running.exec(name, "covla", "ready", f"http://{name}:9101/readyz"))
            for name in ("ingest-1", "ingest-2")
        ]
        found = running.exec("ingest-1", "sh", "-c", "ls /state/lake/posts 2>/dev/null || true")
        if found and not any(sum(answer["lag"].values()) for answer in answers):
            return
        time.sleep(1)
    raise AssertionError(f"not everything was ingested: {answers}")


def test_stores_and_workers_come_up_and_a_first_champion_is_waited_for(running: Rehearsal) -> None:
    running.wait(*STORES, "ingest-1", "ingest-2")
    assert running.told("stream-1: .*there is no champion yet")
    names = {running.exec(name, "hostname").strip() for name in WORKERS}
    assert names == set(WORKERS)


def test_posts_become_a_champion_and_predictions(
    running: Rehearsal, airflow: AirflowClient
) -> None:
    running.exec("ingest", "covla", "publish", "--synthetic", str(POSTS), "--window", HISTORY)
    ingested(running)
    assert airflow.healthy()
    airflow.pause("distill_teacher")  # it follows a validation; here the retrain is asked for
    validated = run(airflow, "validate_posts", window=HISTORY)
    assert '"success":true' in airflow.log("validate_posts", validated, "validate")
    windows = {"window": HISTORY, "train_window": HISTORY, "gate_window": HISTORY}
    retrained = run(airflow, "retrain_covla", preset="tiny", **windows)
    assert "$ covla promote" in airflow.log("retrain_covla", retrained, "promote")
    running.wait("rest", "stream-1", "stream-2", timeout=120)
    compared = json.loads(running.exec("rest", "python", "-c", f"POSTS = {POSTS}\n{COMPARE}"))
    assert compared == {"predictions": POSTS, "versions": ["1"], "differ": []}


def test_a_drift_report_is_in_the_page(running: Rehearsal, airflow: AirflowClient) -> None:
    arguments = ("--synthetic", str(LATER), "--seed", "3", "--window", LIVE)
    running.exec("ingest", "covla", "publish", *arguments)
    ingested(running)
    run(airflow, "monitor_drift", window=LIVE)
    page = running.address("evidently", 8000)
    (project,) = httpx.get(f"{page}/api/projects", trust_env=False).json()
    reports = httpx.get(f"{page}/api/projects/{project['id']}/snapshots", trust_env=False).json()
    assert len(reports) == 1


def test_a_stranger_is_refused_by_airflow(running: Rehearsal) -> None:
    address = running.address("airflow-api", 8080)
    assert httpx.get(f"{address}/api/v2/dags", trust_env=False).status_code == 401
    wrong = {"username": "admin", "password": "admin"}
    answer = httpx.post(f"{address}/auth/token", json=wrong, trust_env=False)
    assert answer.status_code == 401


def query(running: Rehearsal, text: str) -> list[dict[str, Any]]:
    answer = httpx.get(
        f"{running.address('prometheus', 9090)}/api/v1/query",
        params={"query": text},
        trust_env=False,
    )
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]["result"]
    return found


@pytest.mark.skipif(not MONITORING, reason="Prometheus and Alertmanager are not installed")
def test_every_replica_is_scraped_every_panel_has_data_and_an_alert_arrives(
    running: Rehearsal,
) -> None:
    receiver = running.start("ingest-1", "python", "-c", RECEIVE)
    manager = "--alertmanager.url=http://alertmanager:9093"
    running.exec("alertmanager", "amtool", manager, "alert", "add", "Rehearsed", "severity=page")
    running.exec("ingest", "python", "-c", BROKEN)
    httpx.post(f"{running.address('rest', 3000)}/predict", content=b"x", trust_env=False)
    board = json.loads((ROOT / "monitoring" / "dashboards" / "covla.json").read_text())
    asked = {target["expr"] for panel in board["panels"] for target in panel["targets"]}
    assert asked
    deadline = time.monotonic() + SCRAPES_SECONDS
    while silent := {text for text in asked if not query(running, text)}:
        assert time.monotonic() < deadline, silent
        time.sleep(2)
    up = query(running, "count by (job) (up == 1)")
    assert {row["metric"]["job"]: row["value"][1] for row in up} == {
        "rest": "1",
        "ingest": "2",
        "stream": "2",
        "prometheus": "1",
    }
    assert query(running, "sum(covla_stream_lag)")[0]["value"][1] == "0"
    assert float(query(running, "sum(covla_predictions_total)")[0]["value"][1]) >= POSTS + LATER
    address = running.address("prometheus", 9090)
    rules = httpx.get(f"{address}/api/v1/rules", trust_env=False).json()["data"]["groups"]
    assert {rule["health"] for group in rules for rule in group["rules"]} == {"ok"}
    there = httpx.get(f"{address}/api/v1/alertmanagers", trust_env=False).json()["data"]
    assert len(there["activeAlertmanagers"]) == 1
    received, _ = receiver.communicate(timeout=120)
    assert received.startswith(WEBHOOK.removeprefix("http://ingest-1:9095"))
    assert "Rehearsed" in received


def lines_of(page: Path) -> list[tuple[str, str]]:
    """The table's rows: with an engine, without one."""
    rows = re.findall(r"^\| `(docker compose [^`]+)` \| `([^`]+)` \|", page.read_text(), re.M)
    assert len(rows) > 4
    return rows


@pytest.mark.parametrize(("engine", "without"), lines_of(ROOT / "docs" / "production.md"))
def test_the_lines_of_the_docs_are_true(running: Rehearsal, engine: str, without: str) -> None:
    words = shlex.split(without)
    if words[:2] == ["covla", "exec"]:
        assert engine == f"docker compose {without.removeprefix('covla ')}"
        running.exec(*words[2:])
        return
    if words[:3] == ["covla", "up", "--like-compose"]:  # how `running` was started
        assert engine.replace(" up -d", "").split()[2:] == words[3:]
        return
    if words == ["covla", "down"]:  # the fixture's end
        return
    done = subprocess.run(
        ["sh", "-c", without.replace(".state", str(running.settings.state))],
        env=running.environment | {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


# Of the runbook's commands, those that are named there and run elsewhere in this file, or that
# stay or need an argument of the moment.
NAMED = {
    "covla dlq ls",
    "covla dlq replay",
    "covla drift",
    "covla ingest",
    "covla promote",
    "covla releases",
    "covla rollback",
    "covla stream",
    "covla stream --worker N",
}
RUNBOOK = set(re.findall(r"`(covla [^`]+)`", (ROOT / "docs" / "runbook.md").read_text()))


@pytest.mark.parametrize("line", sorted(RUNBOOK - NAMED))
def test_the_commands_of_the_runbook_run(running: Rehearsal, line: str) -> None:
    running.exec("ingest", *shlex.split(line.replace("START/END", HISTORY)))
