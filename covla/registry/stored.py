"""What MLflow stores of each model version, and the files of its run."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from covla.errors import CovlaError
from covla.files import file_sum, read_object
from covla.registry import mlflow_client
from covla.registry.artifacts import PATH
from covla.registry.model_folder import MANIFEST, digest
from covla.registry.releases import ALIASES, NAME
from covla.settings import Settings


@dataclass(frozen=True)
class StoredVersion:
    """A model version: `tags` are its own, `aliases` those that it has now."""

    version: str
    run_id: str
    digest: str
    created_at: datetime
    tags: dict[str, str]
    aliases: tuple[str, ...]


def stored_versions(settings: Settings) -> list[StoredVersion]:
    """Every complete version, oldest first.

    Raises:
        ServiceUnavailable: the registry does not answer.
    """
    if not mlflow_client.is_initialised(settings):
        return []
    store = mlflow_client.client(settings)
    with mlflow_client.translate_mlflow_errors(settings):
        rows = list(_pages(store.search_model_versions, f"name = '{NAME}'", max_results=200))
        held = store.get_registered_model(NAME).aliases if rows else {}
    versions = [
        StoredVersion(
            str(row.version),
            row.run_id,
            row.tags["digest"],
            datetime.fromtimestamp(row.creation_timestamp / 1000, UTC),
            dict(row.tags),
            tuple(name for name in ALIASES if str(held.get(name)) == str(row.version)),
        )
        for row in rows
        if "digest" in row.tags
    ]
    return sorted(versions, key=lambda row: int(row.version))


def model_runs(settings: Settings, before: datetime) -> list[str]:
    """Ids of runs that began before a time and store a model, of a version or of none.

    Raises:
        ServiceUnavailable: the registry does not answer.
    """
    if not mlflow_client.is_initialised(settings):
        return []
    store = mlflow_client.client(settings)
    with mlflow_client.translate_mlflow_errors(settings):
        experiment = store.get_experiment_by_name(mlflow_client.EXPERIMENT)
        if experiment is None:
            return []
        early = f"attributes.start_time < {int(before.timestamp() * 1000)}"
        runs = list(_pages(store.search_runs, [experiment.experiment_id], early))
    return [run.info.run_id for run in runs if "digest" in run.data.tags]


def _pages(search: Any, *args: Any, **options: Any) -> Iterator[Any]:
    token = None
    while True:
        page = search(*args, **options, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


@contextmanager
def some_files(version: StoredVersion, names: Sequence[str], settings: Settings) -> Iterator[Path]:
    """A folder with those of these files that the version has, verified; gone at the end. The
    weights stay where they are.

    Raises:
        CovlaError: a file does not match the manifest, or the manifest not the version.
        ServiceUnavailable: the registry does not answer.
    """
    store = mlflow_client.client(settings)
    with TemporaryDirectory() as scratch:
        with mlflow_client.translate_mlflow_errors(settings):
            there = {Path(one.path).name for one in store.list_artifacts(version.run_id, PATH)}
            for name in (MANIFEST, *(name for name in names if name in there)):
                got = store.download_artifacts(version.run_id, f"{PATH}/{name}", scratch)
        folder = Path(got).parent  # which it is differs among stores
        sums = read_object(folder / MANIFEST)["files"] if digest(folder) == version.digest else {}
        for name in names:
            if name in there and sums.get(name) != file_sum(folder / name):
                raise CovlaError(
                    f"version {version.version}: its stored {name} is not the registered one",
                    hint="The files were changed after registration",
                )
        yield folder
