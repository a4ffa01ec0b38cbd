"""The DAGs that look after what was promoted."""

import pytest

from tests.dags.conftest import Airflow, Says

pytestmark = pytest.mark.slow  # a real Airflow

AT = "2026-05-01T10:10:00+00:00"
HELD = {
    "status": "held", "version": "8", "previous": "7", "report": "why.html",
    "why": "300 posts, none of 3 signals is worse",
}  # fmt: skip


@pytest.mark.parametrize("status", ["held", "rolled back"])
def test_the_guard_looks_at_the_time_of_its_run_and_notes_what_it_did(
    airflow: Airflow, status: str
) -> None:
    found = Says(HELD | {"status": status})
    run = airflow.run("guard_release", AT, guard=found)
    assert run.lines == [["guard", "--as-of", AT, "--json"]]
    assert run.tasks == {"guard": "success"}
    assert run.note == f"version 8 {status}: {HELD['why']}; why.html"


def test_a_canary_that_is_taken_off_is_in_the_note(airflow: Airflow) -> None:
    idle = {"status": "idle", "why": "version 7 replaced no other one"}
    canary = HELD | {"status": "taken off", "why": "accuracy: less"}
    run = airflow.run("guard_release", AT, guard=Says(idle | {"canary": canary, "shadow": None}))
    assert run.tasks == {"guard": "success"}
    assert run.note == "version 8 taken off: accuracy: less; why.html"


@pytest.mark.parametrize("status", ["idle", "waiting"])
def test_with_nothing_to_guard_the_run_is_skipped_and_says_why(
    airflow: Airflow, status: str
) -> None:
    nothing = Says({"status": status, "why": "version 8 replaced no other one"})
    run = airflow.run("guard_release", AT, guard=nothing)
    assert (run.tasks, run.note) == ({"guard": "skipped"}, "version 8 replaced no other one")


def test_a_rollback_by_hand_gives_version_and_reason_on(airflow: Airflow) -> None:
    conf = {"version": "8", "reason": "beach for every post"}
    done = Says({"champion": "7", "rolled_back": "8"})
    run = airflow.run("rollback", AT, conf, rollback=done)
    assert run.lines == [
        ["rollback", "--version", "8", "--reason", "beach for every post", "--json"]
    ]
    assert run.note == "version 7 serves, 8 is taken back"


def test_a_backfill_by_hand_predicts_the_posts_of_its_time_range(airflow: Airflow) -> None:
    day = "2026-05-01T00:00:00+00:00/2026-05-02T00:00:00+00:00"
    done = Says({"predictions": 40, "model_version": "7"})
    run = airflow.run("backfill_predictions", AT, {"window": day}, backfill=done)
    assert run.lines == [["backfill", "--window", day, "--model", "champion", "--json"]]
    assert run.note == "40 predictions by version 7"
