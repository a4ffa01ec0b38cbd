"""What each DAG does under a real Airflow: the commands it runs, what it starts, how it fails."""

from datetime import datetime
from pathlib import Path

import pytest

from tests.dags.conftest import Airflow, Says

pytestmark = pytest.mark.slow  # a real Airflow

GOOD = Says({"rows": 40, "success": True})
HOUR = "2026-05-01T09:00:00+00:00/2026-05-01T10:00:00+00:00"
WEEK = "2026-04-24T10:00:00+00:00/2026-05-01T10:00:00+00:00"
MONTH = "2026-04-01T10:00:00+00:00/2026-05-01T10:00:00+00:00"
AT_TEN = "2026-05-01T10:00:00Z"


def test_airflow_reads_four_dags_and_no_helper(airflow: Airflow) -> None:
    assert airflow.found["errors"] == {}
    names = ["distill_teacher", "monitor_drift", "retrain_covla", "validate_posts"]
    assert airflow.found["files"] == [f"{name}.py" for name in names]
    assert airflow.found["at_once"] == dict.fromkeys(names, 1)


def test_parsing_imports_none_of_our_packages_and_nothing_heavy(airflow: Airflow) -> None:
    ours = {"covla", "features", "services", "monitoring"}
    heavy = {"torch", "transformers", "feast", "mlflow", "pandas", "numpy", "bentoml", "evidently"}
    assert (ours | heavy) & set(airflow.found["imported"]) == set()


def test_two_dags_run_by_the_clock_at_every_full_hour(airflow: Airflow) -> None:
    next_runs = {name: time for name, time in airflow.found["next_runs"].items() if time}
    assert set(next_runs) == {"validate_posts", "monitor_drift"}
    for time in map(datetime.fromisoformat, next_runs.values()):
        assert (time.minute, time.second) == (0, 0)


def test_good_posts_of_the_hour_start_the_teacher(airflow: Airflow) -> None:
    run = airflow.run("validate_posts", AT_TEN, validate=GOOD)
    assert run.lines == [["validate", "--window", HOUR, "--json"]]
    assert run.tasks == {"validate": "success"}
    assert run.queued == ["distill_teacher"]
    assert run.told == [
        {"window": HOUR, "train_window": MONTH, "gate_window": WEEK, "preset": "base"}
    ]


def test_an_hour_without_posts_is_skipped_and_starts_nothing(airflow: Airflow) -> None:
    nothing = Says({"rows": 0, "success": True, "window": HOUR})
    run = airflow.run("validate_posts", AT_TEN, validate=nothing)
    assert (run.tasks, run.queued) == ({"validate": "skipped"}, [])
    assert f"no post in the window {HOUR}" in run.log


def test_posts_that_break_an_expectation_fail_the_run_by_name(airflow: Airflow) -> None:
    expectations = [
        {"column": "text", "expectation": "expect_it_there", "ok": True},
        {"column": "lang", "expectation": "expect_it_known", "ok": False},
    ]
    bad = {"rows": 9, "success": False, "expectations": expectations, "report": "why.html"}
    run = airflow.run("validate_posts", AT_TEN, validate=Says(bad, code=4))
    assert (run.tasks, run.queued) == ({"validate": "failed"}, [])
    assert "covla validate: lang: expect_it_known; see why.html" in run.log


def test_new_teacher_vectors_start_a_retrain(airflow: Airflow) -> None:
    run = airflow.run("distill_teacher", AT_TEN, teach=Says())
    assert run.lines == [["teach", "--window", MONTH, "--json"]]
    assert run.queued == ["retrain_covla"]
    assert run.told[0]["train_window"] == MONTH


def test_drift_starts_a_retrain_and_names_the_modality(airflow: Airflow) -> None:
    drifted = Says({"drift": True, "drift_modality": "image"})
    run = airflow.run("monitor_drift", AT_TEN, drift=drifted)
    assert run.lines == [["drift", "--window", HOUR, "--json"]]
    assert run.queued == ["retrain_covla"]
    assert (run.told[0]["window"], run.told[0]["drift_modality"]) == (HOUR, "image")


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (Says({"drift": False}), "no modality drifted"),
        (Says({"skipped": "12 posts are too few"}, code=2), "12 posts are too few"),
    ],
)
def test_an_hour_without_drift_is_skipped_and_starts_nothing(
    airflow: Airflow, said: Says, why: str
) -> None:
    run = airflow.run("monitor_drift", AT_TEN, drift=said)
    assert (run.tasks, run.queued) == ({"drift": "skipped"}, [])
    assert why in run.log


def test_a_retrain_teaches_trains_and_asks_the_gate(airflow: Airflow, tmp_path: Path) -> None:
    says = {"teach": Says(), "train": Says({"folder": str(tmp_path)}), "promote": Says()}
    run = airflow.run("retrain_covla", AT_TEN, **says)
    assert run.lines == [
        ["teach", "--window", MONTH, "--json"],
        ["train", "--window", MONTH, "--preset", "base", "--json"],
        ["promote", str(tmp_path), "--window", WEEK, "--json"],
    ]
    assert (run.state, run.queued) == ("success", [])


def test_a_run_by_hand_works_on_what_it_was_given(airflow: Airflow, tmp_path: Path) -> None:
    says = {"teach": Says(), "train": Says({"folder": str(tmp_path)}), "promote": Says()}
    conf = {"window": HOUR, "train_window": WEEK, "gate_window": HOUR, "preset": "tiny"}
    run = airflow.run("retrain_covla", "2026-06-01T10:00:00Z", conf, **says)
    assert run.lines == [
        ["teach", "--window", WEEK, "--json"],
        ["train", "--window", WEEK, "--preset", "tiny", "--json"],
        ["promote", str(tmp_path), "--window", HOUR, "--json"],
    ]


def test_the_gates_no_is_an_answer_and_no_failure(airflow: Airflow, tmp_path: Path) -> None:
    no = Says({"passed": False}, code=4, stderr="covla: the challenger is not better")
    says = {"teach": Says(), "train": Says({"folder": str(tmp_path)}), "promote": no}
    assert airflow.run("retrain_covla", AT_TEN, **says).state == "success"


def test_a_failed_command_fails_its_task_with_its_last_lines(airflow: Airflow) -> None:
    dies = Says(code=3, stderr="long ago\nnearly there\ncovla: MLflow does not answer")
    run = airflow.run("retrain_covla", AT_TEN, teach=Says(), train=dies)
    assert run.state == "failed"
    assert run.tasks == {
        "plan": "success",
        "teach": "success",
        "train": "failed",
        "promote": "upstream_failed",
    }
    assert [line[0] for line in run.lines] == ["teach", "train"]
    last = "long ago | nearly there | covla: MLflow does not answer"
    assert f"covla train ended with exit code 3: {last}" in run.log
