"""The weekly DAG that removes what is old."""

import pytest

from tests.dags.conftest import Airflow, Says

pytestmark = pytest.mark.slow  # a real Airflow

FREED = {
    "files": 7,
    "bytes": 2_500_000,
    "freed": {"images": {"files": 3, "bytes": 1}, "texts": {"files": 4, "bytes": 2_499_999}},
}


def test_a_week_ends_with_a_note_of_what_was_freed(airflow: Airflow) -> None:
    done = Says(FREED | {"dry_run": False})
    run = airflow.run("housekeeping", "2026-05-03T04:10:00Z", housekeeping=done)
    wait = ["--wait", "600"]
    assert run.lines == [["housekeeping", *wait, "--as-of", "2026-05-03T04:10:00+00:00", "--json"]]
    assert (run.state, run.queued) == ("success", [])
    assert run.note == "freed 7 files, 2.5 MB: 3 of images, 4 of texts"


def test_a_dry_run_by_hand_says_what_would_go(airflow: Airflow) -> None:
    conf = {"dry_run": True, "as_of": "2026-05-01T00:00:00Z"}
    done = Says(FREED | {"dry_run": True})
    run = airflow.run("housekeeping", "2026-05-05T10:00:00Z", conf, housekeeping=done)
    given = ["--wait", "600", "--as-of", "2026-05-01T00:00:00Z", "--dry-run", "--json"]
    assert run.lines == [["housekeeping", *given]]
    assert run.note is not None
    assert run.note.startswith("would free 7 files")
