"""Canary and shadow in a real MLflow store in SQLite."""

from collections.abc import Callable
from pathlib import Path

import pytest

from covla.errors import CovlaError, Refused
from covla.registry.rollout import Rollout, Rollouts, read_rollout, read_shadow
from covla.settings import Settings

pytestmark = pytest.mark.slow

MakeFolder = Callable[..., Path]


@pytest.fixture
def registry(settings: Settings, make_folder: MakeFolder) -> Rollouts:
    """Version 1 is the champion; 2 passed the gate against it, 3 did not go through it."""
    registry = Rollouts(settings)
    for accuracy in (0.5, 0.6, 0.7):
        registry.register(make_folder(accuracy))
    registry.promote("1", force=True)
    registry.tag("2", gate="passed", gate_against="1")
    return registry


@pytest.mark.parametrize("weight", [-0.01, 1.01, float("nan"), float("inf")])
def test_a_weight_that_is_no_share_is_refused(registry: Rollouts, weight: float) -> None:
    with pytest.raises(CovlaError, match="has to be from 0 to 1") as error:
        registry.start_canary("2", weight)
    assert error.value.exit_code == 2
    assert read_rollout(registry.settings) == Rollout("1")


def test_a_canary_needs_the_gate_and_its_promotion_ends_it(registry: Rollouts) -> None:
    settings = registry.settings
    assert registry.start_canary("2", 0.1) == "2"
    assert read_rollout(settings) == Rollout("1", "2", 0.1)
    since = {one.version: one.canary_since for one in registry.releases()}["2"]
    registry.start_canary("canary", 0.5)  # by its alias: the same version with another weight
    assert read_rollout(settings) == Rollout("1", "2", 0.5)
    release = {one.version: one for one in registry.releases()}["2"]
    assert (release.aliases, release.canary_weight) == (["canary"], "0.5")
    assert (release.canary_since, release.forced) == (since, "false")
    with pytest.raises(Refused, match="3 has not been through the gate"):
        registry.start_canary("3", 0.1)
    with pytest.raises(Refused, match="1 is the champion"):
        registry.start_canary("1", 0.1)
    with pytest.raises(CovlaError, match="no version '9'"):
        registry.start_canary("9", 0.1)

    registry.promote("2")
    assert registry.aliases() == {"champion": "2", "previous": "1"}
    assert {one.canary_weight for one in registry.releases()} == {None}
    with pytest.raises(Refused, match="there is no canary"):
        registry.end("canary")


def test_a_canary_that_is_rejected_needs_force_to_serve_again(registry: Rollouts) -> None:
    registry.start_canary("2", 1)
    with pytest.raises(Refused, match="version 3 is not the canary"):
        registry.end("canary", version="3", reason="late")
    assert registry.end("canary", version="2", reason="wrong on\nmore posts") == "2"
    assert registry.aliases() == {"champion": "1"}
    for start in (lambda: registry.start_canary("2", 0.1), lambda: registry.start_shadow("2")):
        with pytest.raises(Refused, match="was rejected: wrong on more posts"):
            start()
    registry.start_canary("2", 0.1, force=True)
    forced = {one.version: one for one in registry.releases()}["2"]
    assert (forced.forced, forced.rejected_reason, forced.gate) == ("true", None, "rolled back")
    assert registry.end("canary") == "2"


def test_a_shadow_needs_no_gate_and_stands_beside_a_canary(registry: Rollouts) -> None:
    registry.start_shadow("3")
    registry.start_canary("2", 0.25)
    assert read_rollout(registry.settings) == Rollout("1", "2", 0.25)
    assert read_shadow(registry.settings) == "3"
    registry.promote("3", force=True)
    assert read_shadow(registry.settings) is None
    assert read_rollout(registry.settings) == Rollout("3", "2", 0.25)
    registry.rollback()
    assert read_rollout(registry.settings) == Rollout("1", "2", 0.25)


def test_a_weight_that_somebody_wrote_is_read_with_care(registry: Rollouts) -> None:
    registry.start_canary("2", 0.1)
    for wrong, said in (("2", "has to be from 0 to 1"), ("much", "is 'much'"), (None, "is None")):
        registry.tag("2", canary_weight=wrong)
        with pytest.raises(CovlaError, match=said):
            read_rollout(registry.settings)


def test_without_a_champion_there_is_nothing_to_be_beside(
    settings: Settings, make_folder: MakeFolder
) -> None:
    assert read_rollout(settings) == Rollout(None)
    registry = Rollouts(settings)
    registry.register(make_folder(0.5))
    with pytest.raises(Refused, match="no champion"):
        registry.start_shadow("1")
