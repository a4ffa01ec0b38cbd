"""A promotion says in one line why a version serves, or why it does not."""

from collections.abc import Callable
from pathlib import Path

import pytest

from covla.errors import CovlaError, Refused, ServiceUnavailable, TooFew
from covla.evaluation.gate_rules import Check, Rules
from covla.evaluation.promotion import Promotion, promote
from covla.evaluation.promotion_gate import Verdict
from covla.registry.registry import Registry
from covla.settings import Settings
from tests.covla.conftest import untrained_tiny


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


@pytest.mark.slow
def test_features_are_made_ready_before_a_version_serves_or_it_does_not_serve(
    tiny_folder: Path, offline_settings: Settings, tmp_path: Path
) -> None:
    registry = Registry(offline_settings)
    one = registry.register(tiny_folder)
    two = registry.register(untrained_tiny(tmp_path / "two", 2))
    asked: list[tuple[str, str | None]] = []

    def ready(version: str) -> None:
        asked.append((version, registry.champion()))

    def fails(error: CovlaError) -> Callable[[str], None]:
        def prepare(version: str) -> None:
            raise error

        return prepare

    refused = promote(two, None, offline_settings, prepare=ready)
    assert not refused.promoted  # it has not been through the gate
    assert asked == []
    assert promote(one, None, offline_settings, force=True, prepare=ready).promoted
    assert asked == [(one, None)]
    assert promote(one, None, offline_settings, prepare=ready).promoted  # it serves already
    assert len(asked) == 1
    for error, kind in (
        (ServiceUnavailable("the disk is full"), ServiceUnavailable),
        (TooFew("no post"), CovlaError),
    ):
        with pytest.raises(CovlaError, match=f"version {two} is not promoted.*{error}") as caught:
            promote(two, None, offline_settings, force=True, prepare=fails(error))
        assert type(caught.value) is kind
        assert f"`covla promote {two}`" in str(caught.value)
        assert registry.champion() == one
    registry.tag(two, gate="passed", gate_against=one)
    assert promote(two, None, offline_settings, prepare=ready).promoted
    assert asked[1:] == [(two, one)]
