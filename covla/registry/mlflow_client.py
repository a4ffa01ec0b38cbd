"""MLflow made quiet and bounded: one client per process and address, errors a person can act on."""

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from filelock import FileLock, Timeout

from covla.errors import CovlaError, ServiceUnavailable
from covla.registry.mlflow_http import OURS, unavailable
from covla.settings import Settings

EXPERIMENT = "covla"
LOCK_SECONDS = 300  # registering a large model takes its time
_FEAST = "feast.infra.data_sources.mlflow.auth"


def sqlite_file(settings: Settings) -> Path | None:
    """The database file where the store is SQLite, else None."""
    prefix = "sqlite:///"
    if not settings.mlflow.startswith(prefix):
        return None
    return Path(unquote(settings.mlflow.removeprefix(prefix)))  # as SQLAlchemy reads it


def is_initialised(settings: Settings) -> bool:
    """Whether there is a store: a reader need not create a database to find it empty."""
    file = sqlite_file(settings)
    return file is None or file.exists()


@contextmanager
def lock(settings: Settings) -> Iterator[None]:
    """Held while the registry is written: processes of one state folder take turns.

    Raises:
        ServiceUnavailable: another process does not let go of it.
    """
    folder = settings.state.absolute() / "mlflow"
    folder.mkdir(parents=True, exist_ok=True)
    held = FileLock(folder / "registry.lock")
    try:
        held.acquire(timeout=LOCK_SECONDS)
    except Timeout:
        raise ServiceUnavailable(
            f"another process has been writing to the registry for {LOCK_SECONDS} seconds",
            hint="Run this again when it has ended",
        ) from None
    try:
        yield
    finally:
        held.release()


def client(settings: Settings) -> Any:
    """An `MlflowClient` for `settings.mlflow`. The first one on a new SQLite file creates its
    tables, which takes several seconds.

    Raises:
        ServiceUnavailable: the store does not answer.
    """
    with translate_mlflow_errors(settings):
        return _client(settings.mlflow, sqlite_file(settings))


@lru_cache(maxsize=8)
def _client(address: str, file: Path | None) -> Any:
    mlflow = _mlflow()
    bounds = {
        "MLFLOW_HTTP_REQUEST_TIMEOUT": 20,
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": 1,
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": False,
    }
    for name, value in bounds.items():
        variable = getattr(mlflow.environment_variables, name)
        if not variable.is_set():
            variable.set(value)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        # MLflow 3.17 on SQLAlchemy 2.1; nothing that a caller can change.
        warnings.filterwarnings("ignore", message="The ``noload`` loader strategy is deprecated")
        return mlflow.MlflowClient(address, address)


def experiment_id(settings: Settings) -> str:
    """The experiment that all runs belong to, made when it is not there.

    With a SQLite store the artifacts lie in STATE/mlflow/artifacts; a server chooses by itself.
    """
    store = client(settings)
    with translate_mlflow_errors(settings):
        found = store.get_experiment_by_name(EXPERIMENT)
        if found is not None:
            return str(found.experiment_id)
        location = None
        if sqlite_file(settings) is not None:
            location = (settings.state.absolute() / "mlflow" / "artifacts").as_uri()
        return str(store.create_experiment(EXPERIMENT, artifact_location=location))


def _mlflow() -> Any:
    if find_spec("mlflow") is None:
        raise CovlaError(
            "the registry cannot be written to, nor read from a SQLite file: mlflow is not "
            "installed",
            hint="Set COVLA_MLFLOW_URI to an MLflow server, or install `covla[train]`",
        )
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    import mlflow

    _without_feast()
    return mlflow


def _without_feast() -> None:
    """Import MLflow's registry of request headers without the one that Feast adds.

    It is for data that Feast reads from MLflow. With it the first request to a server imports all
    of Feast: nine seconds, and without the care that features/feast_api.py takes.
    """
    if _FEAST in sys.modules:
        return
    sys.modules[_FEAST] = None  # type: ignore[assignment]  # an import of it fails
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import_module("mlflow.tracking.request_header.registry")
    finally:
        del sys.modules[_FEAST]


@contextmanager
def translate_mlflow_errors(settings: Settings) -> Iterator[None]:
    """MLflow's errors to ours.

    Raises:
        ServiceUnavailable: the store does not answer, or answers that it cannot.
        CovlaError: MLflow refused the request.
    """
    failure = _mlflow().exceptions.MlflowException
    try:
        yield
    except failure as error:
        message = str(error).split(" with exception")[0].splitlines()[0][:300]
        if error.error_code in OURS:
            raise CovlaError(f"mlflow: {message}") from error
        raise unavailable(settings, message) from error
