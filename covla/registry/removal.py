"""A model version that goes, with its run and its files. A kill on the way leaves a run without a
version, which no reader sees and the next call finds."""

from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from covla.errors import Refused
from covla.registry import mlflow_client
from covla.registry.releases import NAME
from covla.registry.stored import StoredVersion, stored_versions
from covla.settings import Settings


def remove_version(version: StoredVersion, settings: Settings) -> None:
    """Take a version out of the registry; its run stays for `remove_run`. One that is out already
    is no error.

    Raises:
        Refused: it has an alias now.
        ServiceUnavailable: the registry does not answer.
    """
    store = mlflow_client.client(settings)
    with mlflow_client.lock(settings):
        now = {row.version: row.aliases for row in stored_versions(settings)}
        if aliases := now.get(version.version):
            raise Refused(f"version {version.version} is {', '.join(aliases)} and stays")
        if version.version in now:
            with mlflow_client.translate_mlflow_errors(settings):
                store.delete_model_version(NAME, version.version)


def remove_run(run_id: str, settings: Settings) -> None:
    """Delete the files of a run, then the run. Files that lie on this machine outside the state
    folder belong to an MLflow server, and `mlflow gc` deletes them there.

    Raises:
        ServiceUnavailable: the registry does not answer.
    """
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    store = mlflow_client.client(settings)
    with mlflow_client.translate_mlflow_errors(settings):
        uri = store.get_run(run_id).info.artifact_uri
        if _may_delete(uri, settings):
            get_artifact_repository(uri, tracking_uri=settings.mlflow).delete_artifacts()
        store.delete_run(run_id)


def run_size(run_id: str, settings: Settings) -> tuple[int, int]:
    """Files of a run and their bytes; (0, 0) where `remove_run` leaves them.

    Raises:
        ServiceUnavailable: the registry does not answer.
    """
    store = mlflow_client.client(settings)
    with mlflow_client.translate_mlflow_errors(settings):
        if not _may_delete(store.get_run(run_id).info.artifact_uri, settings):
            return 0, 0
        sizes = _sizes(store, run_id, None)
    return len(sizes), sum(sizes)


def _sizes(store: Any, run_id: str, path: str | None) -> list[int]:
    sizes = []
    for one in store.list_artifacts(run_id, path):
        sizes += _sizes(store, run_id, one.path) if one.is_dir else [int(one.file_size)]
    return sizes


def _may_delete(uri: str, settings: Settings) -> bool:
    parts = urlparse(uri)
    if parts.scheme not in {"", "file"}:
        return True  # of a store that MLflow writes to
    folder = Path(unquote(parts.path)).resolve()
    return folder.is_relative_to(settings.state.absolute().resolve())
