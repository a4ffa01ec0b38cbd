"""Agreement against worked examples from the literature."""

import numpy as np
import pytest

from covla.evaluation.rating import agreement

# Krippendorff (2011), Computing Krippendorff's Alpha-Reliability: the example of each section.
TWO_BINARY = ["0100000010", "1110010000"]
TWO_NOMINAL = ["aabbdcccedda", "babbbccceddd"]
FOUR_WITH_GAPS = ["123321412...", "1233224125.3", ".3332342251.", "12332441251."]


def answers(raters: list[str]) -> list[dict[str, str | None]]:
    return [
        {f"p{i:02}": None if letter == "." else letter for i, letter in enumerate(row)}
        for row in raters
    ]


def data(raters: list[str]) -> agreement.Matrix:
    rows = answers(raters)
    return agreement.matrix(rows, list(rows[0]), sorted(set("".join(raters)) - {"."}))


@pytest.mark.parametrize(
    ("raters", "expected"),
    [(TWO_BINARY, 0.095), (TWO_NOMINAL, 0.692), (FOUR_WITH_GAPS, 0.743)],
    ids=["two observers, binary", "two observers, nominal", "any observers, missing data"],
)
def test_alpha_is_krippendorffs_own(raters: list[str], expected: float) -> None:
    assert agreement.alpha(data(raters)) == pytest.approx(expected, abs=0.0005)


def test_alpha_of_agreement_chance_and_nothing_to_compare() -> None:
    assert agreement.alpha(data(["abcab", "abcab"])) == 1
    assert agreement.alpha(data(["aaaa", "aaaa"])) is None  # no variation: not defined
    assert agreement.alpha(data(["ab..", "..ab"])) is None  # no post has two answers
    assert agreement.alpha_interval(data(["aaaa", "aaaa"])) is None
    rng = np.random.default_rng(1)
    chance = rng.integers(5, size=(3, 4000)).astype(float)
    assert agreement.alpha(chance) == pytest.approx(0, abs=0.02)
    against = agreement.alpha(data(["abab", "baba"]))
    assert against is not None
    assert against < 0


def test_the_interval_holds_alpha_and_is_the_same_again() -> None:
    found = agreement.alpha_interval(data([row * 4 for row in FOUR_WITH_GAPS]))
    assert found is not None
    assert found[0] < 0.743 < found[1]
    assert found[1] - found[0] < 0.4
    assert agreement.alpha_interval(data([row * 4 for row in FOUR_WITH_GAPS])) == found


def test_specific_agreement_per_label() -> None:
    # a: pairs (a,a), (a,b): of 3 answers "a" with 3 partners, 2 partners say "a".
    found = agreement.per_label(data(["aab.", "abbb"]), ["a", "b"])
    assert found["a"].answers == 3
    assert found["a"].agreement == pytest.approx(2 / 3)
    assert found["b"].agreement == pytest.approx(2 / 3)
    assert found["b"].answers == 4
    assert agreement.per_label(data(["aa", "aa"]), ["a", "z"])["z"].agreement is None


def test_a_tie_or_silence_is_no_majority() -> None:
    rows = answers(["aab.", "aac.", "abb."])
    assert agreement.majority(rows, list(rows[0])) == {"p00": "a", "p01": "a", "p02": "b"}
    two = answers(["ab.", "aca"])
    assert agreement.majority(two, list(two[0])) == {"p00": "a", "p02": "a"}


def test_share_equal_counts_what_both_say() -> None:
    first, second, third = answers(["ab.a", "aba.", "bb.a"])
    assert agreement.share_equal(first, second) == 1
    assert agreement.share_equal(first, third) == pytest.approx(2 / 3)
    assert agreement.mean_between([first, second, third]) == pytest.approx((1 + 2 / 3 + 1 / 2) / 3)
    assert agreement.share_equal({}, first) is None
