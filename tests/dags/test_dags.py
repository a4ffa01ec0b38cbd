"""What each DAG does under a real Airflow: the commands it runs, what it starts, how it fails."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.stack.airflow import DAGS
from tests.dags.conftest import Airflow, Says

pytestmark = pytest.mark.slow  # a real Airflow

GOOD = Says({"rows": 40, "success": True})
HOUR = "2026-05-01T09:00:00+00:00/2026-05-01T10:00:00+00:00"
WEEK = "2026-04-24T10:00:00+00:00/2026-05-01T10:00:00+00:00"
MONTH = "2026-04-01T10:00:00+00:00/2026-05-01T10:00:00+00:00"
AT_TEN = "2026-05-01T10:10:00Z"  # the lateness after the end of the interval
TEN_PAST = ["--as-of", "2026-05-01T10:10:00+00:00"]
DUE = Says({"due": True, "why": "hand; 80 new labelled posts"})


def test_airflow_reads_one_dag_a_file_and_no_helper(airflow: Airflow) -> None:
    """What is in them: test_pages.py."""
    assert airflow.found["errors"] == {}
    files = {path.name for path in DAGS.glob("*.py")}
    assert set(airflow.found["files"]) == files
    assert {f"{name}.py" for name in airflow.found["dags"]} == files


def test_parsing_imports_none_of_our_packages_and_nothing_heavy(airflow: Airflow) -> None:
    ours = {"covla", "features", "services", "monitoring"}
    heavy = {"torch", "transformers", "feast", "mlflow", "pandas", "numpy", "bentoml", "evidently"}
    assert (ours | heavy) & set(airflow.found["imported"]) == set()


def test_dags_run_by_the_clock_each_on_its_last_interval(airflow: Airflow) -> None:
    due = {
        name: [datetime.fromisoformat(time) for time in times]
        for name, times in airflow.found["next_runs"].items()
    }
    expected = {
        "validate_posts": (timedelta(hours=1), timedelta(minutes=10)),
        "monitor_drift": (timedelta(hours=1), timedelta(minutes=10)),
        "distill_teacher": (timedelta(days=1), timedelta(minutes=30)),
        "housekeeping": (timedelta(days=7), timedelta(minutes=10)),
        "retrain_covla": (timedelta(days=7), timedelta(minutes=60)),
    }
    for name, (start, end, created) in due.items():
        assert (end - start, created - end) == expected[name]
        assert end <= datetime.now(UTC) < created + (end - start)
    assert due["retrain_covla"][1].weekday() == 0


def test_good_posts_of_the_hour_are_told_to_whom_they_concern(airflow: Airflow) -> None:
    run = airflow.run("validate_posts", AT_TEN, validate=GOOD)
    assert run.lines == [["validate", "--window", HOUR, *TEN_PAST, "--json"]]
    assert (run.tasks, run.queued) == ({"validate": "success"}, [])
    assert run.told == [
        {
            "window": HOUR,
            "as_of": TEN_PAST[1],
            "train_window": MONTH,
            "gate_window": WEEK,
            "preset": "base",
        }
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
    assert run.note == "lang: expect_it_known; why.html"


def test_the_teacher_of_a_day_is_the_one_that_was_named(airflow: Airflow) -> None:
    conf = {"train_window": WEEK, "teacher": "a-hub/id"}
    run = airflow.run("distill_teacher", "2026-05-02T02:30:00Z", conf, teach=Says())
    as_of = ["--as-of", "2026-05-02T02:10:00+00:00"]
    assert run.lines == [["teach", "--window", WEEK, *as_of, "--teacher", "a-hub/id", "--json"]]
    assert (run.queued, run.told[0]["train_window"]) == ([], WEEK)


def test_drift_starts_a_retrain_and_names_the_modality(airflow: Airflow) -> None:
    drifted = Says({"drift": True, "drift_modality": "image", "report": "why.html"})
    run = airflow.run("monitor_drift", AT_TEN, drift=drifted)
    assert run.lines == [["drift", "--window", HOUR, *TEN_PAST, "--json"]]
    assert run.note == "drift: image; why.html"
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


PROMOTED = Says({"version": "7", "passed": True, "reasons": []})


def test_a_retrain_teaches_trains_and_asks_the_gate(airflow: Airflow, tmp_path: Path) -> None:
    train = Says({"folder": str(tmp_path)})
    says = {"retrain-due": DUE, "teach": Says(), "train": train, "promote": PROMOTED}
    conf = {"train_window": MONTH, "gate_window": WEEK}
    run = airflow.run("retrain_covla", AT_TEN, conf, **says)
    month = ["--window", MONTH, *run.lines[0][3:5]]
    assert run.lines[0][:3] == ["retrain-due", "--window", MONTH]
    assert run.lines[0][5].startswith("--run")
    assert run.lines[0][6].startswith("retrain_covla/manual__")
    assert run.lines[0][7:] == ["--because", "hand", "--json"]
    assert run.lines[1:] == [
        ["teach", *month, "--json"],
        ["train", *month, "--preset", "base", "--json"],
        ["promote", str(tmp_path), "--window", WEEK, *month[2:], "--json"],
    ]
    assert (run.state, run.queued) == ("success", [])
    assert run.note == "hand; 80 new labelled posts\nversion 7: the gate let it in"


def test_a_retrain_that_is_not_due_is_skipped_and_its_note_says_why(airflow: Airflow) -> None:
    no = Says({"due": False, "why": "cooldown until 2026-05-02 10:10"}, code=4)
    conf = {"cooldown_hours": 12, "per_week": 2, "min_labels": 9}
    run = airflow.run("retrain_covla", AT_TEN, conf, **{"retrain-due": no})
    limits = ["--cooldown-hours", "12", "--per-week", "2", "--min-labels", "9", "--json"]
    assert run.lines[0][-7:] == limits
    assert run.tasks == dict.fromkeys(("plan", "teach", "train", "promote"), "skipped")
    assert run.note == "cooldown until 2026-05-02 10:10"


def test_a_run_by_hand_works_on_what_it_was_given(airflow: Airflow, tmp_path: Path) -> None:
    train = Says({"folder": str(tmp_path)})
    says = {"retrain-due": DUE, "teach": Says(), "train": train, "promote": PROMOTED}
    conf = {"window": HOUR, "train_window": WEEK, "gate_window": HOUR, "preset": "tiny"}
    run = airflow.run("retrain_covla", "2026-06-01T10:00:00Z", conf, **says)
    assert run.lines[1:] == [
        ["teach", "--window", WEEK, "--json"],
        ["train", "--window", WEEK, "--preset", "tiny", "--json"],
        ["promote", str(tmp_path), "--window", HOUR, "--json"],
    ]


def test_the_gates_no_is_an_answer_and_no_failure(airflow: Airflow, tmp_path: Path) -> None:
    no = Says({"version": "7", "passed": False, "reasons": ["not better"]}, code=4)
    train = Says({"folder": str(tmp_path)})
    says = {"retrain-due": DUE, "teach": Says(), "train": train, "promote": no}
    run = airflow.run("retrain_covla", AT_TEN, **says)
    assert run.state == "success"
    assert run.note is not None
    assert run.note.endswith("version 7: not better")


def test_bad_input_fails_its_task_at_once_with_the_last_lines(airflow: Airflow) -> None:
    dies = Says(code=2, stderr="long ago\nnearly there\ncovla: preset: no such encoders")
    says = {"retrain-due": DUE, "teach": Says(), "train": dies}
    run = airflow.run("retrain_covla", AT_TEN, **says)
    assert run.state == "failed"
    assert run.tasks == {
        "plan": "success",
        "teach": "success",
        "train": "failed",
        "promote": "upstream_failed",
    }
    assert [line[0] for line in run.lines] == ["retrain-due", "teach", "train"]
    last = "long ago | nearly there | covla: preset: no such encoders"
    assert f"covla train ended with exit code 2: {last}" in run.log
