"""Promotions beside each other, and with an MLflow server that goes away in the middle."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from covla.errors import Refused, ServiceUnavailable
from covla.registry.model_folder import write_manifest
from covla.registry.registry import Registry
from covla.settings import Settings
from services.stack import mlflow, ports, processes
from tests.conftest import RunCommand

pytestmark = pytest.mark.slow


def _folder(path: Path, accuracy: float) -> Path:
    path.mkdir()
    (path / "metrics.json").write_text(f'{{"accuracy": {accuracy}}}')
    (path / "training.json").write_text('{"preset": "tiny"}')
    write_manifest(path)
    return path


def _register(registry: Registry, tmp_path: Path, count: int) -> list[str]:
    """Versions that passed the gate, the first of them the champion."""
    versions = [registry.register(_folder(tmp_path / f"m{i}", 0.5 + i / 10)) for i in range(count)]
    registry.tag(versions[0], gate="passed", gate_against="floors")
    registry.promote(versions[0])
    for version in versions[1:]:
        registry.tag(version, gate="passed", gate_against=versions[0])
    return versions


def _promote(settings: Settings, version: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "covla.cli", "promote", version, "--json"],
        env=settings.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_of_two_promotions_at_once_one_serves_and_the_other_is_refused(
    offline_settings: Settings, tmp_path: Path
) -> None:
    registry = Registry(offline_settings)
    one, two, three = _register(registry, tmp_path, 3)
    running = {version: _promote(offline_settings, version) for version in (two, three)}
    ended = {version: process.communicate(timeout=200) for version, process in running.items()}
    codes = {version: process.returncode for version, process in running.items()}
    assert sorted(codes.values()) == [0, 4], ended
    winner, loser = sorted(codes, key=lambda version: codes[version])
    assert registry.aliases() == {"champion": winner, "previous": one}
    (line,) = ended[loser][1].splitlines()
    assert f"version {loser} passed the gate against version {one}, and {winner} serves" in line
    result = json.loads(ended[loser][0])
    assert (result["promoted"], result["why"] in line) == (False, True)
    releases = {release.version: release for release in registry.releases()}
    assert releases[winner].replaced == one
    assert releases[loser].promoted_at is None


def test_the_same_promotion_twice_at_once_is_done_once(
    offline_settings: Settings, tmp_path: Path
) -> None:
    registry = Registry(offline_settings)
    one, two = _register(registry, tmp_path, 2)
    running = [_promote(offline_settings, two) for _ in range(2)]
    ended = [process.communicate(timeout=200) for process in running]
    assert [process.returncode for process in running] == [0, 0], ended
    assert registry.aliases() == {"champion": two, "previous": one}


@pytest.fixture
def server(tmp_path: Path, state: Path) -> Iterator[Settings]:
    """A real MLflow server that always has the same address; `mlflow_uri` names it."""
    port = ports.any_free()
    process = mlflow.start(Settings(state=state, mlflow_port=port))
    try:
        yield Settings(state=state, mlflow_port=port, mlflow_uri=process.address)
    finally:
        processes.stop(Settings(state=state), mlflow.NAME)


def _start(settings: Settings) -> None:
    mlflow.start(Settings(state=settings.state, mlflow_port=settings.mlflow_port))


def _kill(settings: Settings) -> None:
    """kill -9, the workers first."""
    process = processes.find(Settings(state=settings.state), mlflow.NAME)
    assert process is not None
    family = psutil.Process(process.pid)
    for child in [*family.children(recursive=True), family]:
        child.kill()
    processes.stop(Settings(state=settings.state), mlflow.NAME)


@pytest.mark.parametrize("step", ["tag", "champion", "challenger"])
def test_mlflow_that_goes_away_in_a_promotion_leaves_one_champion(
    server: Settings, tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch,
    run_command: RunCommand,
) -> None:  # fmt: skip
    registry = Registry(server)
    one, two = _register(registry, tmp_path, 2)
    registry.challenge(two)
    real_set, real_tag = registry._set, registry.tag

    def set_alias(alias: str, version: str | None) -> None:
        if alias == step:
            _kill(server)
        real_set(alias, version)

    def tag(version: str, **tags: object) -> None:
        if step == "tag":
            _kill(server)
        real_tag(version, **tags)

    monkeypatch.setattr(registry, "_set", set_alias)
    monkeypatch.setattr(registry, "tag", tag)
    with pytest.raises(ServiceUnavailable, match="does not answer") as error:
        registry.promote(two)
    assert error.value.exit_code == 3
    assert "\n" not in str(error.value)
    monkeypatch.undo()

    if step == "tag":  # once: as a person sees it
        away = run_command(server, "promote", two)
        assert away.returncode == 3
        (line,) = away.stderr.splitlines()
        assert f"mlflow at {server.mlflow_uri} does not answer" in line

    _start(server)
    held = registry.aliases()
    assert held["champion"] == (two if step == "challenger" else one)
    if step != "challenger":
        with pytest.raises(Refused, match="no previous version"):
            registry.rollback()  # nothing was promoted, so nothing is taken back
    assert registry.promote(two) == two
    assert registry.aliases() == {"champion": two, "previous": one}
    release = registry.releases()[0]
    assert (release.replaced, release.forced) == (one, "false")
