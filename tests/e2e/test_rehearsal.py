"""docker-compose.yml as its services run without a container engine: stores, two ingest and two
stream workers, REST, the pages and monitoring; then every line that the docs have for it. The
profile airflow and a training are in tests/soak/test_rehearsal.py."""

import json
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from covla.settings import Settings
from tests.rehearsed import (
    ROOT,
    Rehearsal,
    compare,
    ingested,
    needs_namespaces,
    rehearsal,
    secrets,
)

pytestmark = [pytest.mark.slow, needs_namespaces, pytest.mark.timeout(600)]

HISTORY = "2026-05-01T00:00:00Z/2026-05-01T12:00:00Z"
POSTS = 220
WORKERS = ("ingest-1", "ingest-2", "stream-1", "stream-2")
STORES = ("kafka", "valkey", "postgres", "mlflow", "evidently")
# The panels' queries look back five minutes; a rate needs two scrapes.
SCRAPES_SECONDS = 120
MONITORING = all(map(shutil.which, ("prometheus", "promtool", "prometheus-alertmanager", "amtool")))
WEBHOOK = "http://ingest-1:9095/alerts?from=covla&to=us"
RECEIVE = """
import http.server

seen = []

class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        seen.append(f"{self.path} {body}")
        self.send_response(200)
        self.end_headers()

server = http.server.HTTPServer(("", 9095), Receiver)
server.timeout = 120
while not seen or "Rehearsed" not in seen[-1]:
    server.handle_request()
print(*seen, sep="\\n")
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
    folder = tmp_path_factory.mktemp("rehearsal")
    options = ["--profile", "monitoring"] if MONITORING else []
    options += ["--scale", "stream=2", "--scale", "ingest=2"]
    given = secrets(folder / "env") | {"ALERT_WEBHOOK_URL": WEBHOOK}
    with rehearsal(Settings(state=folder / "state"), ROOT, given, *options) as started:
        yield started


def test_stores_and_workers_come_up_and_a_first_champion_is_waited_for(running: Rehearsal) -> None:
    running.wait(*STORES, "ingest-1", "ingest-2")
    assert running.told("stream-1: .*there is no champion yet")
    names = {running.exec(name, "hostname").strip() for name in WORKERS}
    assert names == set(WORKERS)


def test_posts_become_predictions_equal_over_rest_and_stream(
    running: Rehearsal, model_folder: Path
) -> None:
    running.exec("ingest", "covla", "publish", "--synthetic", str(POSTS), "--window", HISTORY)
    ingested(running, POSTS)
    shutil.copytree(model_folder, running.settings.state / "compose/volumes/state/models/made")
    promote = ("covla", "promote", "/state/models/made", "--window", HISTORY, "--force")
    running.exec("rest", *promote)
    running.wait("rest", "stream-1", "stream-2", timeout=180)
    assert compare(running, POSTS) == {"predictions": POSTS, "versions": ["1"], "differ": []}


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
    end = datetime.now(UTC)
    window = f"{(end - timedelta(hours=1)).isoformat()}/{end.isoformat()}"
    running.exec("ingest", "covla", "performance", "--window", window)
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
    assert float(query(running, "sum(covla_predictions_total)")[0]["value"][1]) >= POSTS
    address = running.address("prometheus", 9090)
    rules = httpx.get(f"{address}/api/v1/rules", trust_env=False).json()["data"]["groups"]
    assert {rule["health"] for group in rules for rule in group["rules"]} == {"ok"}
    there = httpx.get(f"{address}/api/v1/alertmanagers", trust_env=False).json()["data"]
    assert len(there["activeAlertmanagers"]) == 1
    received, _ = receiver.communicate(timeout=150)
    *_, last = received.strip().splitlines()
    assert last.startswith(WEBHOOK.removeprefix("http://ingest-1:9095"))
    assert "Rehearsed" in last


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
    "covla lineage",
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
