"""What MLflow stores of each model version, and the files of its run."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from covla.registry import mlflow_client
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
