"""The registry on a real MLflow store in SQLite: complete or not there, one entry per digest."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from covla.errors import CovlaError, ServiceUnavailable
from covla.registry import mlflow_client
from covla.registry.artifacts import flatten
from covla.registry.model_folder import write_manifest
from covla.registry.registry import Registry
from covla.settings import Settings

pytestmark = pytest.mark.slow

MakeFolder = Callable[..., Path]


def test_a_version_has_metrics_and_origin_and_its_files_come_back(
    settings: Settings, make_folder: MakeFolder
) -> None:
    registry, folder = Registry(settings), make_folder(0.5)
    version = registry.register(folder)
    (release,) = registry.releases()
    assert release.version == version
    assert release.metrics == {"accuracy": 0.5, "macro_f1": 0.4}
    assert (release.preset, release.seed, release.window) == ("tiny", "3", "a/b")
    resolved, fetched = registry.resolve(version)
    assert resolved == version
    assert fetched.is_relative_to(settings.cache)
    assert (fetched / "training.json").read_bytes() == (folder / "training.json").read_bytes()


def test_an_empty_registry_is_read_without_creating_a_database(tmp_path: Path) -> None:
    registry = Registry(Settings(state=tmp_path))
    assert registry.releases() == []
    assert registry.champion() is None
    with pytest.raises(CovlaError, match="no champion yet. Train and promote"):
        registry.resolve("champion")
    assert list(tmp_path.iterdir()) == []


def test_the_same_folder_is_one_version_and_another_folder_a_second(
    settings: Settings, make_folder: MakeFolder
) -> None:
    registry, folder = Registry(settings), make_folder(0.5)
    assert registry.register(folder) == registry.register(folder) == "1"
    assert registry.register(make_folder(0.6)) == "2"
    assert [release.version for release in registry.releases()] == ["2", "1"]


def test_an_incomplete_or_changed_folder_is_not_registered(
    settings: Settings, make_folder: MakeFolder
) -> None:
    folder = make_folder()
    (folder / "config.json").write_text("{ }")
    with pytest.raises(CovlaError, match="config.json is changed"):
        Registry(settings).register(folder)
    (folder / "manifest.json").unlink()
    with pytest.raises(CovlaError, match="no complete model folder"):
        Registry(settings).register(folder)
    assert Registry(settings).releases() == []


def _artifact(settings: Settings, name: str) -> Path:
    (found,) = (settings.state / "mlflow" / "artifacts").rglob(name)
    return found


def test_one_flipped_byte_in_the_store_is_refused(
    settings: Settings, make_folder: MakeFolder
) -> None:
    registry = Registry(settings)
    version = registry.register(make_folder())
    stored = _artifact(settings, "config.json")
    stored.write_bytes(b"{|")  # it was {}
    with pytest.raises(CovlaError, match="config.json is changed"):
        registry.resolve(version)
    assert not list((settings.cache / "models").iterdir())  # nothing half fetched stays


def test_a_manifest_that_was_rewritten_with_its_files_is_refused(
    settings: Settings, make_folder: MakeFolder
) -> None:
    registry = Registry(settings)
    version = registry.register(make_folder())
    stored = _artifact(settings, "config.json")
    stored.write_text('{"other": 1}')
    write_manifest(stored.parent)
    with pytest.raises(CovlaError, match="not the registered one"):
        registry.resolve(version)


def test_a_damaged_cache_is_fetched_again(settings: Settings, make_folder: MakeFolder) -> None:
    registry = Registry(settings)
    version, cached = registry.resolve(registry.register(make_folder()))
    (cached / "config.json").write_text("damaged")
    assert (registry.resolve(version)[1] / "config.json").read_text() == "{}"


# Copies of the folder's files are counted; the process dies, as if killed, after number `die`.
_CRASH = """
import os, shutil, sys
from pathlib import Path
from covla.registry.registry import Registry
from covla.settings import Settings
from covla.registry import mlflow_client
mlflow_client._mlflow()
folder = Path(sys.argv[2])
for die in range(len(list(folder.iterdir())) + 1):
    child = os.fork()  # before any connection is open
    if child == 0:
        real, copied = shutil.copy2, 0
        def copy2(source, target):
            global copied
            if copied == die: os._exit(9)
            copied += 1
            return real(source, target)
        shutil.copy2 = copy2
        Registry._ensure_model = lambda self, store: os._exit(9)  # all is stored, no version yet
        Registry(Settings(state=Path(sys.argv[1]))).register(folder)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9, die
    print("died after", die)
"""


def test_a_writer_that_dies_after_any_file_leaves_nothing_visible(
    settings: Settings, make_folder: MakeFolder
) -> None:
    folder = make_folder()
    done = subprocess.run(
        [sys.executable, "-c", _CRASH, str(settings.state), str(folder)],
        capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("died after") == len(list(folder.iterdir())) + 1
    partly = {len(list(path.iterdir())) for path in settings.state.rglob("artifacts/model")}
    assert partly == {0, 1, 2, 3, 4}  # it really died in different places
    registry = Registry(settings)
    assert registry.releases() == []
    version = registry.register(folder)
    assert [release.version for release in registry.releases()] == [version]


_WRITE = """
import sys
from pathlib import Path
from covla.registry.registry import Registry
from covla.settings import Settings
print(Registry(Settings(state=Path(sys.argv[1]))).register(Path(sys.argv[2])))
"""


def test_two_writers_at_once_on_a_new_database_make_one_version(
    tmp_path: Path, make_folder: MakeFolder
) -> None:
    folder, state = make_folder(), tmp_path / "new"
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", _WRITE, str(state), str(folder)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said = [writer.communicate(timeout=200)[0].strip() for writer in writers]
    assert said == ["1", "1"]
    assert len(Registry(Settings(state=state)).releases()) == 1


def test_writers_on_two_machines_agree_on_the_lower_number(
    settings: Settings, make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_folder()
    first, second = Registry(settings), Registry(settings)
    # The second one looked before the first had written, as no lock spans machines.
    looks = iter([[]])
    real = second._versions
    monkeypatch.setattr(second, "_versions", lambda: next(looks, None) or real())
    first.register(folder)
    assert second.register(folder) == "1"
    store = mlflow_client.client(settings)
    assert [int(v.version) for v in store.search_model_versions("name = 'covla'")] == [1]


def test_files_are_stored_beside_the_model_of_a_version(
    settings: Settings, make_folder: MakeFolder, tmp_path: Path
) -> None:
    registry = Registry(settings)
    version = registry.register(make_folder())
    (tmp_path / "report.json").write_text("{}")
    address = registry.attach(version, [tmp_path / "report.json"], "gate")
    run_id = address.removeprefix("runs:/").removesuffix("/gate")
    got = mlflow_client.client(settings).download_artifacts(run_id, "gate", str(tmp_path / "got"))
    assert (Path(got) / "report.json").read_text() == "{}"
    registry.resolve(version)  # the model's own files are as before


def test_unknown_versions_and_a_store_that_is_away_are_named(
    settings: Settings, make_folder: MakeFolder
) -> None:
    registry = Registry(settings)
    registry.register(make_folder())
    with pytest.raises(CovlaError, match="no version '7' in the registry; there are: 1"):
        registry.resolve("7")
    with pytest.raises(CovlaError, match="no challenger yet"):
        registry.resolve("challenger")
    with pytest.raises(CovlaError, match="nowhere is no complete model folder"):
        registry.resolve("nowhere")
    away = Registry(Settings(state=settings.state, mlflow_uri="http://127.0.0.1:9"))
    with pytest.raises(ServiceUnavailable, match="http://127.0.0.1:9 does not answer") as error:
        away.resolve("champion")
    assert error.value.exit_code == 3


def test_flatten_keeps_numbers_by_their_path() -> None:
    assert flatten({"a": 1, "b": {"c": 0.5, "d": "x", "e": True}}) == {"a": 1.0, "b.c": 0.5}
