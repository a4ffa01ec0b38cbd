"""What a run works on, by what it was given."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "dags"))

import pytest
import windows
from airflow.sdk.exceptions import AirflowFailException


class Event:
    def __init__(self, extra: dict[str, str]) -> None:
        self.extra = extra


def test_a_run_works_on_its_conf_then_on_its_asset_then_on_its_interval() -> None:
    event = {
        "asset": [
            Event({"window": "a/b", "train_window": "c/d", "gate_window": "e/f", "preset": "tiny"})
        ]
    }
    week = "2026-05-01T00:00:00Z/2026-05-08T00:00:00Z"
    conf = {"params": {"window": week, "train_window": None, "preset": ""}}
    asked = windows.request({"triggering_asset_events": event, **conf})
    assert asked == {
        "window": week,
        "train_window": "c/d",
        "gate_window": "e/f",
        "preset": "tiny",
    }
    alone = windows.request({"params": {}})
    start, end = alone["window"].split("/")
    assert start < end
    assert alone["train_window"].endswith(end)
    assert alone["gate_window"].endswith(end)
    assert alone["train_window"] < alone["gate_window"] < alone["window"]
    assert alone["preset"] == "base"


@pytest.mark.parametrize(
    "window", ["today", "a/b", "/", "0001-01-01T00:00:00Z/0001-01-02T00:00:00Z"]
)
def test_a_window_that_is_none_fails_the_run_in_one_line(window: str) -> None:
    with pytest.raises(AirflowFailException, match="is not START/END"):
        windows.request({"params": {"window": window}})
