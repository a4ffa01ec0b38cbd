"""The champion is followed while the old version serves."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from covla.errors import CovlaError, ServiceUnavailable
from covla.settings import Settings
from services import champion
from services.champion import ChampionWatcher


class _Served:
    """What the watcher needs of a Predictor."""

    def __init__(self, version: str) -> None:
        self.version = version

    def warm_up(self) -> None:
        if self.version == "broken":
            raise CovlaError("it cannot answer")


class _Registry:
    """Who is champion, as this test says."""

    def __init__(self) -> None:
        self.version: str | None = None
        self.away = False

    def champion(self) -> str | None:
        if self.away:
            raise ServiceUnavailable("the registry does not answer")
        return self.version


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> _Registry:
    registry = _Registry()
    monkeypatch.setattr(champion, "Registry", lambda settings: registry)

    def load(ref: str, settings: Settings, context: object = None) -> _Served:
        version = registry.version if ref == "champion" else ref
        if version is None:
            raise CovlaError("there is no champion yet")
        return _Served(version)

    monkeypatch.setattr(champion.Predictor, "load", load)
    return registry


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_new_champion_takes_over_and_a_rollback_too(registry: _Registry, tmp_path: Path) -> None:
    swapped: list[str] = []
    watcher = ChampionWatcher(
        Settings(state=tmp_path), interval=0.01, swapped=lambda p: swapped.append(p.version)
    )
    with pytest.raises(CovlaError, match="no champion is loaded yet"):
        watcher.current()
    with pytest.raises(CovlaError, match="no champion yet"):
        watcher.load()
    registry.version = "1"
    watcher.load()
    watcher.start()
    registry.version = "2"
    _wait(lambda: watcher.current().version == "2")
    registry.version = "1"
    _wait(lambda: watcher.current().version == "1")
    watcher.stop()
    registry.version = "2"
    time.sleep(0.05)
    assert watcher.current().version == "1"
    assert swapped == ["2", "1"]


def test_the_old_version_serves_on_when_the_new_one_or_the_registry_fails(
    registry: _Registry, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    registry.version = "1"
    watcher = ChampionWatcher(Settings(state=tmp_path), interval=0.01)
    watcher.load()
    watcher.start()
    registry.version = "broken"
    _wait(lambda: watcher.error == "it cannot answer")
    assert watcher.current().version == "1"
    time.sleep(0.1)
    assert caplog.text.count("the old version serves on") == 1  # said once, tried again later
    registry.version = "1"
    _wait(lambda: watcher.error is None)  # rolled back: all is well
    registry.version, registry.away = "2", True
    _wait(lambda: watcher.error == "the registry does not answer")
    assert watcher.current().version == "1"
    registry.away = False
    _wait(lambda: watcher.current().version == "2" and watcher.error is None)
    watcher.stop()
