"""A promotion says in one line why a version serves, or why it does not."""

import pytest

from covla.errors import Refused
from covla.evaluation.gate_rules import Check, Rules
from covla.evaluation.promotion import Promotion
from covla.evaluation.promotion_gate import Verdict


def _verdict(*failed: str) -> Verdict:
    checks = [Check(name, False, 0.1, None, 0.5, f"{name}: too low") for name in failed]
    good = Check("accuracy", True, 0.9, 0.8, -0.02, "accuracy: 0.9", 0.1, 0.05)
    return Verdict(not failed, "2", "1", 300, [good, *checks], Rules())


@pytest.mark.parametrize(
    ("done", "why"),
    [
        (Promotion("2", "2"), "it is the champion already"),
        (Promotion("2", "1"), "the gate let it in before"),
        (Promotion("2", "1", verdict=_verdict()), "the gate let it in"),
        (Promotion("2", "1", True, True, _verdict("a")), "it was forced in"),
        (Promotion("2", "1", False, False, _verdict("a", "b")), "a: too low; b: too low"),
        (Promotion("2", "1", False, refused=Refused("late", hint="Again")), "late. Again"),
    ],
)
def test_why(done: Promotion, why: str) -> None:
    assert done.why == done.as_dict()["why"] == why


def test_a_list_of_versions_shows_the_first_reasons_or_the_score_that_let_it_in() -> None:
    assert _verdict().first_reasons == ["accuracy: 0.9"]
    assert _verdict("a", "b", "c", "d").first_reasons == [f"{n}: too low" for n in "abc"]
