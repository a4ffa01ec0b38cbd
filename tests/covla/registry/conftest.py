"""A registry of its own for each test, and folders to register."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from covla.registry import mlflow_client
from covla.registry.model_folder import write_manifest
from covla.settings import Settings

MakeFolder = Callable[..., Path]


@pytest.fixture
def settings(tmp_path: Path, mlflow_database: Path) -> Settings:
    settings = Settings(state=tmp_path / "state")
    file = mlflow_client.sqlite_file(settings)
    assert file is not None
    file.parent.mkdir(parents=True)
    shutil.copy(mlflow_database, file)
    return settings


@pytest.fixture
def make_folder(tmp_path: Path) -> MakeFolder:
    """A sealed folder; `accuracy` makes its digest."""

    def make(accuracy: float = 0.5) -> Path:
        folder = tmp_path / f"model-{accuracy}"
        folder.mkdir()
        (folder / "metrics.json").write_text(f'{{"accuracy": {accuracy}, "macro_f1": 0.4}}')
        (folder / "training.json").write_text('{"preset": "tiny", "seed": 3, "window": "a/b"}')
        (folder / "config.json").write_text("{}")
        write_manifest(folder)
        return folder

    return make
