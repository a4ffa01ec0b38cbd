"""What each DAG does under a real Airflow: the commands it runs, what it starts, how it fails."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.stack.airflow import DAGS
from tests.dags.conftest import Airflow, Says

pytestmark = pytest.mark.slow  # a real Airflow

VERDICT = {
    "window": "a/b",
    "success": True,
    "rows": 40,
    "quarantined": 1,
    "failed": [],
    "warned": [],
    "report": "why.html",
}
GOOD = Says(VERDICT | {"expectations": [{"name": "volume", "ok": True}] * 20})
HOUR = "2026-05-01T09:00:00+00:00/2026-05-01T10:00:00+00:00"
WEEK = "2026-04-24T10:00:00+00:00/2026-05-01T10:00:00+00:00"
MONTH = "2026-04-01T10:00:00+00:00/2026-05-01T10:00:00+00:00"
AT_TEN = "2026-05-01T10:10:00Z"  # the lateness after the end of the interval
TEN_PAST = ["--as-of", "2026-05-01T10:10:00+00:00"]
ALERT = "0" * 32
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
        if any(times)  # the others run by hand alone
    }
    expected = {
        "validate_posts": (timedelta(hours=1), timedelta(minutes=10)),
        "monitor_drift": (timedelta(hours=1), timedelta(minutes=10)),
        "distill_teacher": (timedelta(days=1), timedelta(minutes=30)),
        "guard_release": (timedelta(minutes=10), timedelta(0)),
        "housekeeping": (timedelta(days=7), timedelta(minutes=10)),
        "retrain_covla": (timedelta(days=7), timedelta(minutes=60)),
    }
    assert due.keys() == expected.keys()
    for name, (start, end, created) in due.items():
        assert (end - start, created - end) == expected[name]
        assert end <= datetime.now(UTC) < created + (end - start)
    assert due["retrain_covla"][1].weekday() == 0


def test_good_posts_of_the_hour_are_told_to_whom_they_concern(airflow: Airflow) -> None:
    run = airflow.run("validate_posts", AT_TEN, validate=GOOD)
    assert run.lines == [["validate", "--window", HOUR, *TEN_PAST, "--json"]]
    assert (run.tasks, run.queued, run.note) == ({"validate": "success"}, [], None)
    assert run.returned == {"validate": VERDICT}
    assert run.told == [
        {
            "window": HOUR,
            "as_of": TEN_PAST[1],
            "train_window": MONTH,
            "gate_window": WEEK,
            "live_window": WEEK,
        }
    ]


def test_an_hour_without_posts_is_skipped_and_starts_nothing(airflow: Airflow) -> None:
    nothing = Says({"rows": 0, "success": True, "window": HOUR})
    run = airflow.run("validate_posts", AT_TEN, validate=nothing)
    assert (run.tasks, run.queued) == ({"validate": "skipped"}, [])
    assert f"no post in the window {HOUR}" in run.log


def test_posts_that_break_an_expectation_fail_the_run_by_name(airflow: Airflow) -> None:
    bad = VERDICT | {"success": False, "failed": ["volume: 90 to 500 posts"], "expectations": []}
    run = airflow.run("validate_posts", AT_TEN, validate=Says(bad, code=4))
    assert (run.tasks, run.queued) == ({"validate": "failed"}, [])
    assert run.told == []
    assert "covla validate: volume: 90 to 500 posts; see why.html" in run.log
    assert run.note == "volume: 90 to 500 posts; why.html"
    assert run.alerts == []  # the command has opened its own
    assert run.returned == {"validate": {k: v for k, v in bad.items() if k != "expectations"}}


def test_a_warning_is_on_the_page_of_the_run_and_fails_nothing(airflow: Airflow) -> None:
    warned = Says(VERDICT | {"warned": ["language_mix: divergence"]})
    run = airflow.run("validate_posts", AT_TEN, validate=warned)
    assert run.tasks == {"validate": "success"}
    assert run.note == "warned: language_mix: divergence; why.html"


def test_the_teacher_of_a_day_is_the_one_that_was_named(airflow: Airflow) -> None:
    conf = {"train_window": WEEK, "teacher": "a-hub/id"}
    run = airflow.run("distill_teacher", "2026-05-02T02:30:00Z", conf, teach=Says())
    as_of = ["--as-of", "2026-05-02T02:10:00+00:00"]
    assert run.lines == [["teach", "--window", WEEK, *as_of, "--teacher", "a-hub/id", "--json"]]
    assert (run.queued, run.told[0]["train_window"]) == ([], WEEK)


def _live(version: str, labelled: int, accuracy: float | None) -> dict[str, object]:
    known = None if accuracy is None else {"value": accuracy}
    estimate = {"value": 0.9}
    return {
        "model_version": version, "labelled": labelled, "accuracy": known,
        "estimated_accuracy": estimate,
    }  # fmt: skip


ENCODED = Says({"posts": 0})
LIVE = Says({"versions": [_live("7", 90, 0.91), _live("8", 0, None)]})


def test_drift_starts_a_retrain_and_names_the_modality(airflow: Airflow) -> None:
    drifted = {"drift": True, "drift_modality": "image", "report": "why.html"}
    drift = Says(drifted | {"alert_id": ALERT})
    run = airflow.run("monitor_drift", AT_TEN, features=ENCODED, drift=drift, performance=LIVE)
    line, encoded, performance = sorted(run.lines)
    assert encoded == ["features", "backfill", "--window", HOUR, *TEN_PAST, "--json"]
    assert run.lines.index(encoded) < run.lines.index(line)
    assert line[:6] == ["drift", "--window", HOUR, *TEN_PAST, "--run"]
    assert line[6].startswith("monitor_drift/manual__")
    assert performance == ["performance", "--window", WEEK, *TEN_PAST, "--json"]
    assert f"drift: image; alert {ALERT}; why.html" in run.note
    assert "version 7: 0.910 of 90, estimated 0.900; version 8: no label yet" in run.note
    assert run.queued == ["retrain_covla"]
    told = [run.told[0][name] for name in ("window", "drift_modality", "alert_id")]
    assert told == [HOUR, "image", ALERT]


def test_drift_without_an_alert_starts_nothing(airflow: Airflow) -> None:
    drifted = Says({"drift": True, "drift_modality": "image", "alert_id": None})
    nothing = Says({"skipped": "nothing was predicted"}, code=2)
    run = airflow.run("monitor_drift", AT_TEN, features=ENCODED, drift=drifted, performance=nothing)
    assert (set(run.tasks.values()), run.queued) == ({"skipped"}, [])
    why = "too few time ranges in a row have it, or a later one was looked at before"
    assert run.note == f"drift: image; no alert: {why}\nnothing was predicted"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (Says({"drift": False, "drift_modality": None, "alert_id": None}), "no modality drifted"),
        (Says({"skipped": "12 posts are too few"}, code=2), "12 posts are too few"),
    ],
)
def test_an_hour_without_drift_is_skipped_and_starts_nothing(
    airflow: Airflow, said: Says, why: str
) -> None:
    nothing = Says({"skipped": "nothing was predicted"}, code=2)
    run = airflow.run("monitor_drift", AT_TEN, features=ENCODED, drift=said, performance=nothing)
    assert (set(run.tasks.values()), run.queued) == ({"skipped"}, [])
    assert why in run.log


PROMOTED = Says({"version": "7", "passed": True, "why": "the gate let it in"})


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
        ["train", *month, "--json"],
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
        ["teach", "--window", WEEK, "--preset", "tiny", "--json"],
        ["train", "--window", WEEK, "--preset", "tiny", "--json"],
        ["promote", str(tmp_path), "--window", HOUR, "--json"],
    ]


def test_the_gates_no_is_an_answer_and_no_failure(airflow: Airflow, tmp_path: Path) -> None:
    no = Says({"version": "7", "passed": False, "why": "not better"}, code=4)
    train = Says({"folder": str(tmp_path)})
    says = {"retrain-due": DUE, "teach": Says(), "train": train, "promote": no}
    run = airflow.run("retrain_covla", AT_TEN, **says)
    assert run.state == "success"
    assert run.note is not None
    assert run.note.endswith("version 7: not better")


def test_a_retrain_that_makes_the_champion_again_says_so(airflow: Airflow, tmp_path: Path) -> None:
    same = Says({"version": "7", "passed": None, "why": "it is the champion already"})
    train = Says({"folder": str(tmp_path)})
    says = {"retrain-due": DUE, "teach": Says(), "train": train, "promote": same}
    run = airflow.run("retrain_covla", AT_TEN, **says)
    assert run.note is not None
    assert run.note.endswith("version 7: it is the champion already")


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


def test_a_task_that_fails_for_good_opens_an_alert_and_its_next_success_closes_it(
    airflow: Airflow,
) -> None:
    subject = ["--kind", "task", "--subject", "distill_teacher.teach", "--summary"]
    run = airflow.run(
        "distill_teacher", AT_TEN, teach=Says(code=2, stderr="covla: no such teacher")
    )
    (line,) = run.alerts
    assert line[:7] == ["alerts", "open", *subject]
    assert line[7].startswith("task teach of run manual__")
    assert line[7].endswith(
        "failed: covla teach ended with exit code 2: {} | covla: no such teacher"
    )
    assert line[8] == "--run"
    assert line[9].startswith("distill_teacher/manual__")
    assert line[10] == "--report"
    assert "/dags/distill_teacher/runs/manual__" in line[11]
    assert line[11].split("?")[0].endswith("/tasks/teach")

    run = airflow.run("distill_teacher", AT_TEN, teach=Says())
    (line,) = run.alerts
    assert line[:7] == ["alerts", "close", *subject]


def test_a_task_that_is_skipped_leaves_its_alert_as_it_is(airflow: Airflow) -> None:
    nothing = Says({"rows": 0, "success": True, "window": HOUR})
    assert airflow.run("validate_posts", AT_TEN, validate=nothing).alerts == []


def test_an_alert_that_cannot_be_kept_does_not_change_its_task(airflow: Airflow) -> None:
    run = airflow.run("distill_teacher", AT_TEN, teach=Says(), alerts=Says(code=2))
    assert run.state == "success"
    assert "the alert of this task was not kept: covla alerts close ended with exit" in run.log


def test_a_retrain_after_an_alert_says_which_and_why(airflow: Airflow) -> None:
    no = Says({"due": False, "why": "cooldown until 2026-05-02 10:10"}, code=4)
    conf = {"alert_id": ALERT, "alert": "image drifted"}
    run = airflow.run("retrain_covla", AT_TEN, conf, **{"retrain-due": no})
    assert run.lines[-1][-3:] == ["--alert", ALERT, "--json"]
    assert run.note == f"cooldown until 2026-05-02 10:10; alert {ALERT}: image drifted"
