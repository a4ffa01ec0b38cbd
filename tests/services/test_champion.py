"""The champion of a real registry is followed while the old version serves."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from covla.errors import CovlaError
from covla.registry.registry import Registry
from covla.settings import Settings
from services.champion import ChampionWatcher
from services.stack import mlflow, processes
from tests.covla.conftest import untrained_tiny

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three models that differ."""
    root = tmp_path_factory.mktemp("models")
    return [untrained_tiny(root / str(seed), seed) for seed in range(3)]


@pytest.fixture
def server(offline_settings: Settings) -> Iterator[Settings]:
    """A real MLflow server."""
    process = mlflow.start(offline_settings)
    try:
        yield offline_settings.model_copy(update={"mlflow_uri": process.address})
    finally:
        processes.stop(offline_settings, mlflow.NAME)


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _promote(registry: Registry, folder: Path) -> str:
    version = registry.register(folder)
    registry.promote(version, force=True)
    return version


def test_a_new_champion_takes_over_and_a_rollback_too(
    offline_settings: Settings, folders: list[Path]
) -> None:
    swapped: list[str] = []
    watcher = ChampionWatcher(
        offline_settings, interval=0.05, swapped=lambda p: swapped.append(p.version)
    )
    with pytest.raises(CovlaError, match="no champion is loaded yet"):
        watcher.current()
    with pytest.raises(CovlaError, match="no champion yet"):
        watcher.load()
    registry = Registry(offline_settings)
    first = _promote(registry, folders[0])
    assert watcher.load().version == first
    watcher.start()
    second = _promote(registry, folders[1])
    _wait(lambda: watcher.current().version == second)
    registry.rollback()
    _wait(lambda: watcher.current().version == first)
    watcher.stop()
    registry.promote(second, force=True)
    assert watcher.current().version == first  # nobody looks any more
    assert swapped == [second, first]


def test_the_old_version_serves_on_when_the_new_one_or_the_registry_fails(
    server: Settings,
    offline_settings: Settings,
    folders: list[Path],
    caplog: pytest.LogCaptureFixture,
) -> None:
    registry = Registry(server)
    first = _promote(registry, folders[0])
    watcher = ChampionWatcher(server, interval=0.05)
    watcher.load()
    watcher.start()
    stored = set(server.state.rglob("model.safetensors"))
    broken = registry.register(folders[1])
    for path in set(server.state.rglob("model.safetensors")) - stored:
        path.write_bytes(path.read_bytes()[:-1])
    registry.promote(broken, force=True)
    _wait(lambda: watcher.error is not None)
    assert "model.safetensors" in str(watcher.error)
    assert watcher.current().version == first
    time.sleep(0.5)  # ten looks
    assert caplog.text.count("the old one goes on") == 1  # once, and tried again later
    registry.rollback()
    _wait(lambda: watcher.error is None)
    third = registry.register(folders[2])
    port = int(str(server.mlflow_uri).rsplit(":", 1)[1])
    processes.stop(offline_settings, mlflow.NAME)
    _wait(lambda: watcher.error is not None)
    assert watcher.current().version == first
    mlflow.start(offline_settings.model_copy(update={"mlflow_port": port}))
    registry.promote(third, force=True)
    _wait(lambda: watcher.current().version == third and watcher.error is None)
    watcher.stop()
