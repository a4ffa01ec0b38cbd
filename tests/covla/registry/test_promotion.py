"""Who serves: promotions and rollbacks on a real MLflow store in SQLite."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from covla.errors import CovlaError, Refused
from covla.registry.registry import Registry
from covla.settings import Settings

pytestmark = pytest.mark.slow

MakeFolder = Callable[..., Path]


def test_promote_needs_the_gate_or_force_and_rollback_goes_back_once(
    settings: Settings, make_folder: MakeFolder
) -> None:
    registry = Registry(settings)
    one, two = registry.register(make_folder(0.5)), registry.register(make_folder(0.6))
    with pytest.raises(Refused, match="has not been through the gate"):
        registry.promote(one)
    registry.promote(one, force=True)
    registry.tag(two, gate="passed")
    registry.challenge(two)
    assert registry.aliases() == {"champion": one, "challenger": two}
    registry.promote(two)
    assert registry.aliases() == {"champion": two, "previous": one}
    newest, oldest = registry.releases()
    assert (newest.forced, oldest.forced) == ("false", "true")
    assert (newest.replaced, oldest.replaced) == (one, None)
    assert oldest.promoted_at is not None
    assert newest.promoted_at is not None
    assert oldest.promoted_at < newest.promoted_at

    assert registry.rollback() == (one, two)
    assert registry.aliases() == {"champion": one}
    with pytest.raises(Refused, match="no previous version"):
        registry.rollback()
    with pytest.raises(Refused, match="did not pass the gate"):
        registry.promote(two)  # a version that was rolled back must pass again
    assert registry.resolve("champion")[0] == one


def test_a_rejected_version_needs_force_and_a_guard_may_run_twice(
    settings: Settings, make_folder: MakeFolder
) -> None:
    registry = Registry(settings)
    one, two = registry.register(make_folder(0.5)), registry.register(make_folder(0.6))
    registry.promote(one, force=True)
    registry.tag(two, gate="passed")
    registry.promote(two)
    with pytest.raises(Refused, match=f"version {one} is not the champion: {two} serves"):
        registry.rollback(bad=one, reason="late")
    with pytest.raises(CovlaError, match="the reason is empty"):
        registry.rollback(bad=two, reason=" \n")
    assert registry.rollback(bad=two, reason="accuracy fell\nby 9 points") == (one, two)
    with pytest.raises(Refused, match=f"version {two} is not the champion: {one} serves"):
        registry.rollback(bad=two, reason="accuracy fell")
    assert registry.aliases() == {"champion": one}
    newest = registry.releases()[0]
    assert (newest.gate, newest.rejected_reason) == ("rejected", "accuracy fell by 9 points")
    registry.tag(two, gate="passed")  # the gate again, on other posts
    with pytest.raises(Refused, match="was rejected: accuracy fell by 9 points") as error:
        registry.promote(two)
    assert "--force" in error.value.hint
    registry.promote(two, force=True)
    newest = registry.releases()[0]
    assert (newest.forced, newest.rejected_reason, newest.replaced) == ("true", None, one)


def test_a_verdict_against_another_champion_promotes_nothing(
    settings: Settings, make_folder: MakeFolder
) -> None:
    registry = Registry(settings)
    one, two, three = (registry.register(make_folder(value)) for value in (0.5, 0.6, 0.7))
    registry.tag(one, gate="passed", gate_against="floors")
    registry.promote(one)
    for version in (two, three):
        registry.tag(version, gate="passed", gate_against=one)
    registry.promote(two)
    with pytest.raises(Refused, match=f"gate against version {one}, and {two} serves now"):
        registry.promote(three)
    assert registry.aliases() == {"champion": two, "previous": one}


def test_a_rollback_that_dies_half_way_leaves_a_champion_and_a_rejected_version(
    settings: Settings, make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = Registry(settings)
    one, two = registry.register(make_folder(0.5)), registry.register(make_folder(0.6))
    for version in (one, two):
        registry.promote(version, force=True)

    def dies(alias: str, version: str | None) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(registry, "_set", dies)
    with pytest.raises(KeyboardInterrupt):
        registry.rollback(bad=two, reason="slow")
    assert registry.aliases() == {"champion": two, "previous": one}
    monkeypatch.undo()
    assert registry.rollback(bad=two, reason="slow") == (one, two)


def test_a_reader_never_sees_no_champion_while_promotions_die_half_way(
    settings: Settings, make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = Registry(settings)
    one, two = registry.register(make_folder(0.5)), registry.register(make_folder(0.6))
    registry.promote(one, force=True)
    seen: set[str | None] = set()
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            seen.add(Registry(settings).champion())

    reader = threading.Thread(target=read)
    reader.start()
    real = registry._set

    def dies(alias: str, version: str | None) -> None:
        if alias == "champion":
            raise KeyboardInterrupt
        real(alias, version)

    monkeypatch.setattr(registry, "_set", dies)
    with pytest.raises(KeyboardInterrupt):
        registry.promote(two, force=True)
    assert registry.aliases() == {"champion": one, "previous": one}
    monkeypatch.setattr(registry, "_set", real)
    with pytest.raises(Refused):
        registry.rollback()  # nothing was promoted, so nothing is taken back
    registry.promote(two, force=True)
    registry.rollback()
    stop.set()
    reader.join(timeout=30)
    assert None not in seen
    assert registry.champion() == one
