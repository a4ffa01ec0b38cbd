"""The snapshot of the DAGs and their page say what the code says."""

import json
import re

import pytest

from tests.dags.conftest import Airflow
from tests.dags.pages import PAGE, SNAPSHOT, page, snapshot

ANEW = "the DAGs have changed: write both files anew with `make dags`, and look at the difference"


@pytest.mark.slow  # a real Airflow
def test_ids_edges_schedules_retries_and_params_are_those_of_the_snapshot(
    airflow: Airflow,
) -> None:
    assert snapshot(airflow.found["dags"]) == SNAPSHOT.read_text(), ANEW


@pytest.mark.slow
def test_the_page_is_that_of_the_code(airflow: Airflow) -> None:
    assert page(airflow.found["dags"]) == PAGE.read_text(), ANEW


def test_every_edge_of_the_snapshot_is_in_its_picture() -> None:
    sections = dict(re.findall(r"^## (\w+)$(.*?)(?=^## |\Z)", PAGE.read_text(), re.M | re.S))
    dags = json.loads(SNAPSHOT.read_text())
    assert dags
    for name, dag in dags.items():
        (picture,) = re.findall(r"```mermaid\n(.*?)```", sections[name], re.S)
        for task, about in dag["tasks"].items():
            assert f'{task}["{task}"]' in picture
            for after in about["downstream"]:
                assert f"{task} --> {after}\n" in picture
        for param in dag["params"]:
            assert f"| `{param}` |" in sections[name]
