"""Fixtures for all tests: isolated settings, a real broker, commands run as a person runs them."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from covla.settings import Settings

# How long one example takes says more of the machine than of the code.
hypothesis.settings.register_profile("covla", deadline=None)
hypothesis.settings.load_profile("covla")

# The developer's own settings must not reach a test, nor a test the developer's state.
for _name in [name for name in os.environ if name.startswith("COVLA_")]:
    del os.environ[_name]
# Threads of test processes side by side must not spin for a core that another one needs.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# Two test processes side by side end at about the same time when the longest files come first.
_LONGEST_FIRST = ("e2e", "services/stack", "faults", "dags", "services", "features", "monitoring")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests in the order of _LONGEST_FIRST, then the rest."""

    def place(item: pytest.Item) -> int:
        starts = (item.nodeid.startswith(f"tests/{folder}/") for folder in _LONGEST_FIRST)
        return next((i for i, yes in enumerate(starts) if yes), len(_LONGEST_FIRST))

    items.sort(key=place)


class Command(subprocess.CompletedProcess[str]):
    """A command that ended."""

    @property
    def json(self) -> dict[str, Any]:
        """The result: the last line of stdout."""
        lines = self.stdout.strip().splitlines()
        assert lines, f"{self.args} printed no result; stderr:\n{self.stderr}"
        value = json.loads(lines[-1])
        assert isinstance(value, dict)
        return value


RunCommand = Callable[..., Command]
FreshState = Callable[[Path], Path]


def _run_command(
    settings: Settings, *args: object, timeout: float = 240, stdin: str = ""
) -> Command:
    done = subprocess.run(
        [sys.executable, "-m", "covla.cli", *(str(arg) for arg in args)],
        env=settings.environment(),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Command(done.args, done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def run_command() -> RunCommand:
    """`run_command(settings, "ingest", "--json", timeout=..., stdin=...)`: `covla` as a process.

    The answer has returncode, stdout, stderr and `json`, the parsed last line of stdout.
    """
    return _run_command


@pytest.fixture(scope="session")
def fresh_state(tmp_path_factory: pytest.TempPathFactory) -> FreshState:
    """`fresh_state(folder)`: the folder, with the converted networks of all others in its cache.

    A network is then converted once a run, and not once for each state folder.
    """
    converted = tmp_path_factory.mktemp("converted")

    def fresh(folder: Path) -> Path:
        (folder / "cache").mkdir(parents=True)
        (folder / "cache" / "openvino").symlink_to(converted)
        return folder

    return fresh


@pytest.fixture
def state(tmp_path: Path, fresh_state: FreshState) -> Path:
    """A fresh state folder."""
    return fresh_state(tmp_path / "state")


@pytest.fixture
def offline_settings(state: Path) -> Settings:
    """A fresh state folder and no broker."""
    return Settings(state=state)


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """One real broker for the whole run; `kafka_bootstrap` is its address."""
    from services.stack import kafka as broker
    from services.stack import ports

    state = tmp_path_factory.mktemp("kafka")
    # Test processes side by side must not race for the default port.
    process = broker.start(Settings(state=state, kafka_port=ports.any_free()))
    try:
        yield Settings(state=state, kafka_bootstrap=process.address)
    finally:
        broker.stop(Settings(state=state))


@pytest.fixture
def settings(kafka: Settings, state: Path) -> Settings:
    """A fresh state folder and topics of its own on the real broker."""
    return Settings(
        state=state,
        kafka_bootstrap=kafka.kafka_bootstrap,
        topic_prefix=f"t-{uuid.uuid4().hex[:12]}",
    )


@pytest.fixture(scope="session")
def mlflow_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite store whose tables are there: MLflow takes seconds to create them."""
    from covla.registry import mlflow_client

    settings = Settings(state=tmp_path_factory.mktemp("mlflow"))
    mlflow_client.client(settings)
    file = mlflow_client.sqlite_file(settings)
    assert file is not None
    return file


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A really trained model folder: `tiny`, one epoch on synthetic posts. It is not good."""
    from datetime import UTC, datetime, timedelta

    from covla.posts.folder import write_folder
    from covla.posts.synthetic import generate, with_splits

    root = tmp_path_factory.mktemp("model")
    start = datetime(2026, 5, 1, tzinfo=UTC)
    write_folder(root / "posts", with_splits(generate(90, 1, start, start + timedelta(days=1))))
    done = _run_command(
        Settings(state=root / "state"),
        *("train", "--posts", root / "posts", "--out", root / "folder", "--preset", "tiny"),
        *("--teacher", "none", "--epochs", 1, "--pretrain-epochs", 0, "--seed", 1),
    )
    assert done.returncode == 0, done.stderr
    return root / "folder"
