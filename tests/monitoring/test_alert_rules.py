"""The files of Prometheus, Alertmanager and Grafana are valid, and ask for what the product has."""

import json
import re
import shutil
import subprocess
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from covla.kafka.worker_health import WorkerHealth
from covla.registry.live_performance import LivePerformance, publish
from covla.settings import Settings
from features.metrics import IngestMetrics
from services.prediction_metrics import PredictionMetrics
from services.rest.metrics import Metrics

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "monitoring" / "prometheus"
GRAFANA = ROOT / "monitoring" / "grafana" / "provisioning"
RUNBOOK = "docs/runbook.md#alerts"


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


CONFIG = read(PROMETHEUS / "prometheus.yml")
RULES = {
    rule["alert"]: rule
    for group in read(PROMETHEUS / "rules.yml")["groups"]
    for rule in group["rules"]
}
CASES = [
    case
    for test in read(PROMETHEUS / "rules_test.yml")["tests"]
    for case in test["alert_rule_test"]
]
BOARD = json.loads((ROOT / "monitoring" / "dashboards" / "covla.json").read_text())
PANELS = BOARD["panels"]
QUERIES = [target["expr"] for panel in PANELS for target in panel["targets"]]

ALSO = {"up"}  # Prometheus' own
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
WORDS = {"and", "or", "unless", "bool"}


def run(program: str, *arguments: str | Path) -> str:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not on the PATH to read the files with")
    done = subprocess.run(
        [found, *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def metrics_of(query: str) -> set[str]:
    """The names that a PromQL query reads."""
    for what in (r'"[^"]*"', r"\{[^}]*\}", r"\[[^]]*\]", r"\b(by|without|on|ignoring)\s*\([^)]*\)"):
        query = re.sub(what, " ", query)
    return set(re.findall(r"\b[a-zA-Z_:][\w:]*\b(?!\s*\()", query)) - WORDS


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """What the services answer Prometheus, read from the registries that they answer from."""
    stream, ingest = CollectorRegistry(), CollectorRegistry()
    PredictionMetrics(stream)
    WorkerHealth(Settings(), "stream", stream)
    settings = Settings(state=tmp_path_factory.mktemp("state"))
    figures = LivePerformance("of-a-folder", 9, 9, 0.9, 0.9, 0.1, 0.9, 0.9)
    publish(datetime(2026, 5, 2, tzinfo=UTC), [figures], settings)
    IngestMetrics(settings, ingest)
    pages = [
        Metrics(lambda: 0, lambda: True).text(),
        generate_latest(stream),
        generate_latest(ingest),
    ]
    return {
        family.name + suffix
        for page in pages
        for family in text_string_to_metric_families(page.decode())
        for suffix in SUFFIXES.get(family.type, ())
        if family.name.startswith("covla_")
    }


def test_promtool_takes_the_configuration_and_its_rules() -> None:
    assert f"{len(RULES)} rules found" in run(
        "promtool", "check", "config", PROMETHEUS / "prometheus.yml"
    )
    run("promtool", "check", "rules", PROMETHEUS / "rules.yml")


def test_alerts_fire_when_they_should_and_not_before() -> None:
    assert "SUCCESS" in run("promtool", "test", "rules", PROMETHEUS / "rules_test.yml")


def test_amtool_takes_the_configuration() -> None:
    run("amtool", "check-config", ROOT / "monitoring" / "alertmanager" / "alertmanager.yml")


def test_promtool_takes_every_query_of_the_dashboard(tmp_path: Path) -> None:
    rules = [{"record": f"query:{i}", "expr": query} for i, query in enumerate(QUERIES)]
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    run("promtool", "check", "rules", file)


@pytest.mark.parametrize("name", RULES)
def test_every_alert_is_tried_firing_and_quiet(name: str) -> None:
    fires = [bool(case.get("exp_alerts")) for case in CASES if case["alertname"] == name]
    assert set(fires) == {True, False}


def test_no_case_is_of_an_alert_that_is_not_there() -> None:
    assert {case["alertname"] for case in CASES} == set(RULES)


@pytest.mark.parametrize("name", RULES)
def test_an_alert_says_how_urgent_it_is_and_what_to_read(name: str) -> None:
    rule = RULES[name]
    assert rule["labels"] in ({"severity": "page"}, {"severity": "ticket"})
    assert set(rule["annotations"]) == {"summary", "description", "runbook"}
    assert rule["annotations"]["runbook"] == RUNBOOK


def test_the_runbook_has_a_row_for_each_alert() -> None:
    path, anchor = RUNBOOK.split("#")
    _, section = (ROOT / path).read_text().split(f"\n## {anchor.title()}\n")
    rows = re.findall(r"^\| `(\w+)` \((\w+)\) \|", section.split("\n## ")[0], re.MULTILINE)
    assert rows == [(name, rule["labels"]["severity"]) for name, rule in RULES.items()]


@pytest.mark.parametrize("name", RULES)
def test_an_alert_asks_for_metrics_that_are_exported(name: str, exported: set[str]) -> None:
    asked = metrics_of(RULES[name]["expr"])
    assert asked
    assert asked <= exported | ALSO


@pytest.mark.parametrize("query", QUERIES)
def test_the_dashboard_asks_for_metrics_that_are_exported(query: str, exported: set[str]) -> None:
    asked = metrics_of(query)
    assert asked
    assert asked <= exported | ALSO


def test_jobs_look_for_services_at_the_ports_where_they_answer() -> None:
    services = read(ROOT / "docker-compose.yml")["services"]
    jobs = {job["job_name"]: job for job in CONFIG["scrape_configs"]}
    assert set(jobs) == {"rest", "ingest", "stream", "prometheus"}
    for name in ("rest", "ingest", "stream"):
        (look_up,) = jobs[name]["dns_sd_configs"]
        assert look_up["names"] == [each for each in services if each in {name, f"{name}-gpu"}]
        given = " ".join([*services[name]["command"], *services[name].get("ports", [])])
        assert re.search(rf"(--metrics-port |:){look_up['port']}\b", given)


@pytest.mark.parametrize("name", RULES)
def test_an_alert_asks_for_jobs_that_are_scraped(name: str) -> None:
    asked = set(re.findall(r'job="(\w+)"', RULES[name]["expr"]))
    assert asked <= {job["job_name"] for job in CONFIG["scrape_configs"]}


def test_panels_lie_side_by_side() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    places = [panel["gridPos"] for panel in PANELS]
    assert all(p["x"] >= 0 and p["x"] + p["w"] <= 24 for p in places)
    for a, b in combinations(places, 2):
        across = a["x"] < b["x"] + b["w"] and b["x"] < a["x"] + a["w"]
        down = a["y"] < b["y"] + b["h"] and b["y"] < a["y"] + a["h"]
        assert not (across and down), (a, b)


def test_the_dashboard_opens_on_the_source_that_grafana_is_given() -> None:
    (source,) = read(GRAFANA / "datasources" / "prometheus.yml")["datasources"]
    (variable,) = BOARD["templating"]["list"]
    assert source["isDefault"]
    assert (variable["type"], variable["query"]) == ("datasource", source["type"])
    assert variable["current"]["value"] == source["uid"]
    of_panels = {"type": source["type"], "uid": f"${{{variable['name']}}}"}
    assert all(panel["datasource"] == of_panels for panel in PANELS)
