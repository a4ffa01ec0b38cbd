from dataclasses import replace

import pytest

from covla.errors import CovlaError
from covla.evaluation.study.variants import SharedConfig, choose, every_row, with_budgets
from covla.training.recipe import Recipe
from covla.training.teachers.resolve import ENSEMBLE, NO_TEACHER

COMMON = SharedConfig()


def test_every_row_of_the_protocol_is_there_and_is_a_plan_that_can_be_made() -> None:
    names = [row.name for row in choose((), COMMON)]
    assert len(set(names)) == len(names)
    assert {"zero-shot", "text", "image", "late", "concat", "gate", "xattn", "sgmft"} <= {*names}
    assert {"covla", "covla-cam", "covla-cmf", "covla-kd", "covla-stage1"} <= {*names}
    assert {"covla-context", "covla-tau", "teacher", "sgmft-distilled"} <= {*names}
    assert {"covla-noise", "label-nodes", "tiny", "tiny-distilled"} <= {*names}
    for row in every_row():
        row.plan(COMMON, 3).check()


def test_a_plain_baseline_learns_from_posts_alone_and_a_distilled_one_as_covla_does() -> None:
    plain, taught = choose(("gate", "gate-distilled"), COMMON)
    assert plain.plan(COMMON, 0).teacher == NO_TEACHER
    assert taught.plan(COMMON, 0).teacher == ENSEMBLE
    assert plain.plan(COMMON, 0).recipe.pretrain_epochs == 0
    ours, theirs = taught.plan(COMMON, 7).recipe, plain.plan(COMMON, 7).recipe
    assert theirs.noisy_copies == 0
    assert replace(theirs, noisy_copies=COMMON.recipe.noisy_copies) == ours


def test_with_fewer_labels_a_row_without_a_teacher_makes_as_many_steps() -> None:
    rows = with_budgets(choose(("concat", "covla", "zero-shot"), COMMON))
    at = {row.name: row.plan(COMMON, 0).recipe.epochs for row in rows if row.share == 0.1}
    assert at == {"concat@10%": 10 * Recipe().epochs, "covla@10%": Recipe().epochs}


def test_rows_are_asked_for_by_name_or_by_kind_and_come_in_the_order_of_the_tables() -> None:
    assert [r.name for r in choose(("covla", "gate"), COMMON)] == ["gate", "covla"]
    assert len(choose(("baseline",), COMMON)) == 8
    with pytest.raises(CovlaError, match="rows: 'gait' is not one of"):
        choose(("gait",), COMMON)


def test_rows_that_cannot_be_made_are_left_out_or_refused_when_named() -> None:
    alone = SharedConfig(teacher=NO_TEACHER)
    assert {row.kind for row in choose((), alone)} == {"baseline", "covla", "ablation", "tiny"}
    for name, common in (
        ("gate-distilled", alone),
        ("zero-shot", SharedConfig(preset="some/model")),
    ):
        with pytest.raises(CovlaError, match="rows: "):
            choose((name,), common)
