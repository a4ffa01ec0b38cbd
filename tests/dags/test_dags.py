"""The wiring: DAG files are light, and a change of schedule shows in review."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

DAGS = Path(__file__).parents[2] / "dags"

PROBE = """
import json, sys
sys.path.insert(0, sys.argv[1])
from importlib import import_module
graph = {}
for name in sys.argv[2:]:
    dag = getattr(import_module(name), name)()
    schedule = dag.schedule
    if not isinstance(schedule, str):
        condition = dag.timetable.asset_condition
        names = sorted(asset.name for asset in condition.objects)
        schedule = f"{type(condition).__name__}: {', '.join(names)}"
    tasks = {task.task_id: sorted(task.downstream_task_ids) for task in dag.tasks}
    outlets = sorted(asset.name for task in dag.tasks for asset in task.outlets)
    graph[dag.dag_id] = [schedule, tasks, outlets, dag.catchup, dag.max_active_runs]
ours = {"covla", "features", "services", "monitoring"}
heavy = {"torch", "transformers", "feast", "mlflow", "pandas", "numpy", "bentoml", "evidently"}
print(json.dumps({"graph": graph, "imported": sorted((ours | heavy) & set(sys.modules))}))
"""

# Schedule, task -> tasks after it, assets, catch-up, runs at once.
EXPECTED = {
    "validate_posts": ["@hourly", {"validate": []}, ["covla_validated"], False, 1],
    "distill_teacher": ["AssetAll: covla_validated", {"teach": []}, ["covla_teacher"], False, 1],
    "monitor_drift": ["@hourly", {"drift": []}, ["covla_drift"], False, 1],
    "retrain_covla": [
        "AssetAny: covla_drift, covla_teacher",
        {
            "plan": ["promote", "teach", "train"],
            "teach": ["train"],
            "train": ["promote"],
            "promote": [],
        },
        [],
        False,
        1,
    ],
}


@pytest.fixture(scope="module")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """All DAG files read in a fresh process, as Airflow's DAG processor reads them."""
    environment = os.environ | {"AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow"))}
    done = subprocess.run(
        [sys.executable, "-c", PROBE, str(DAGS), *EXPECTED],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    value: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return value


def test_every_dag_is_expected_and_wired_as_the_design_says(parsed: dict[str, Any]) -> None:
    assert {path.stem for path in DAGS.glob("*.py")} == {*EXPECTED, "verbs", "windows"}
    assert parsed["graph"] == EXPECTED


def test_parsing_imports_none_of_our_packages_and_nothing_heavy(parsed: dict[str, Any]) -> None:
    assert parsed["imported"] == []


def test_every_file_is_thin() -> None:
    assert {
        p.name: n for p in DAGS.glob("*.py") if (n := len(p.read_text().splitlines())) > 100
    } == {}
