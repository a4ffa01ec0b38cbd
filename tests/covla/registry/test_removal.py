"""Versions that go, and single files of those that stay, through a real MLflow server, which alone
has the folder of its files."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from covla.errors import CovlaError
from covla.registry.model_folder import write_manifest
from covla.registry.registry import Registry
from covla.registry.removal import remove_run, remove_version, run_size
from covla.registry.stored import model_runs, some_files, stored_versions
from covla.settings import Settings
from covla.waiting import wait_until
from services.stack import ports
from services.stack.mlflow import answers

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The address of a server, and the folder of its files."""
    folder, port = tmp_path_factory.mktemp("server"), ports.any_free()
    command = [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--port", str(port)]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    command += ["--artifacts-destination", str(folder / "files")]
    env = os.environ | {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, env=env)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until(
            lambda: answers(address),
            lambda up: up,
            timeout=120,
            error=lambda _: AssertionError((folder / "log").read_text()[-2000:]),
        )
        yield address, folder / "files"
    finally:
        server.terminate()
        server.wait()


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_a_version_goes_with_its_files_and_the_others_stay(
    served: tuple[str, Path], tmp_path: Path
) -> None:
    address, stored = served
    settings = Settings(state=tmp_path / "state", mlflow_uri=address)
    for number in (1, 2):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "metrics.json").write_text(f'{{"accuracy": 0.{number}}}')
        write_manifest(folder)
        assert Registry(settings).register(folder) == str(number)
    one, two = stored_versions(settings)
    assert (one.version, two.version, one.aliases) == ("1", "2", ())
    assert len(files(stored)) == 4
    assert run_size(one.run_id, settings) == (2, sum(p.stat().st_size for p in files(stored)) / 2)
    for _ in range(2):  # a second time is no error
        remove_version(one, settings)
    assert [v.version for v in stored_versions(settings)] == ["2"]
    assert set(model_runs(settings, datetime.now(UTC))) == {one.run_id, two.run_id}
    remove_run(one.run_id, settings)
    assert model_runs(settings, datetime.now(UTC)) == [two.run_id]
    assert {path.name for path in files(stored)} == {"manifest.json", "metrics.json"}
    assert len(files(stored)) == 2
    Registry(settings).resolve("2")

    with some_files(two, ("metrics.json", "nothing.json"), settings) as some:
        assert (some / "metrics.json").read_text() == '{"accuracy": 0.2}'
        assert not (some / "nothing.json").exists()
    for path in files(stored):
        if path.name == "metrics.json":
            path.write_text("{}")
    with (
        pytest.raises(CovlaError, match=r"version 2: its stored metrics\.json is not the reg"),
        some_files(two, ("metrics.json",), settings),
    ):
        pass
