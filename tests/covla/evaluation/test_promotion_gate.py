"""The gate on real models: what it blocks, and that a page and a JSON say why."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from covla.errors import CovlaError
from covla.evaluation.gate_rules import Check
from covla.evaluation.gate_scores import CONDITIONS
from covla.evaluation.promotion_gate import gate
from covla.inference.predictor import Predictor
from covla.posts.dataset import sample
from covla.posts.synthetic import generate
from covla.posts.training_post import TrainingPost
from covla.settings import Settings


def test_a_sample_does_not_depend_on_the_order_of_the_posts() -> None:
    start, end = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC)
    rows = [TrainingPost(item.post, item.label) for item, _ in generate(20, 1, start, end)]
    assert {r.post_id for r in sample(rows, 8)} == {r.post_id for r in sample(rows[::-1], 8)}


@pytest.mark.slow
def test_an_untrained_model_does_not_pass_and_the_report_says_why(
    tiny_folder: Path, offline_settings: Settings
) -> None:
    start, end = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC)
    rows = [TrainingPost(item.post, item.label) for item, _ in generate(66, 8, start, end)]
    model = Predictor.load(tiny_folder, offline_settings)
    first = gate(model, None, rows, offline_settings)
    assert not first.passed
    assert any(reason.startswith("floor: accuracy") for reason in first.reasons)
    assert first.report is not None
    assert "did not pass the gate against the floors" in first.report.read_text()

    again = gate(model, model, rows, offline_settings)
    against = [check for check in again.checks if not check.name.startswith("floor")]
    assert {check.name for check in against} >= {f"accuracy, noise in {c}" for c in CONDITIONS[1:]}
    assert all(c.passed for c in against if c.name != "ms per post")
    assert again.report is not None
    written = json.loads(again.report.with_suffix(".json").read_text())
    assert written["passed"] is False
    assert written["rules"]["posts"] == 1000
    size = next(check for check in again.checks if check.name == "MiB of files")
    assert size.challenger == pytest.approx(
        sum(path.stat().st_size for path in tiny_folder.rglob("*")) / 2**20, abs=0.1
    )
    once_more = gate(model, model, rows[::-1], offline_settings)

    def of_posts(checks: list[Check]) -> list[Check]:
        return [check for check in checks if "ms per post" not in check.name]

    assert of_posts(once_more.checks) == of_posts(again.checks)  # the same posts, the same verdict

    with pytest.raises(CovlaError, match="needs 30 labelled posts"):
        gate(model, None, rows[:29], offline_settings)
    with pytest.raises(CovlaError, match="does not know the labels moon"):
        gate(model, None, [replace(rows[0], label="moon"), *rows[1:]], offline_settings)
