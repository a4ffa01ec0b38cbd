"""Dashboard and rules ask only for metrics that the services have."""

import json
import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
DECLARED = re.compile(r'(Counter|Gauge|Histogram)\(\s*"(covla_\w+)"')
SUFFIXES = {"Counter": ("_total",), "Gauge": ("",), "Histogram": ("_bucket", "_sum", "_count")}


def exported() -> set[str]:
    sources = "".join(
        path.read_text()
        for room in ("services", "features")
        for path in (ROOT / room).rglob("*.py")
    )
    return {name + end for kind, name in DECLARED.findall(sources) for end in SUFFIXES[kind]}


def test_every_metric_of_the_dashboard_exists():
    board = json.loads((ROOT / "monitoring/dashboards/covla.json").read_text())
    asked = " ".join(target["expr"] for panel in board["panels"] for target in panel["targets"])
    names = set(re.findall(r"covla_\w+", asked))
    assert names
    assert names <= exported()


def test_every_metric_of_the_rules_exists():
    rules = yaml.safe_load((ROOT / "monitoring/prometheus/rules.yml").read_text())
    asked = " ".join(rule["expr"] for group in rules["groups"] for rule in group["rules"])
    assert set(re.findall(r"covla_\w+", asked)) <= exported()
