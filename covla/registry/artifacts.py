"""Model folders in and out of MLflow: stored as a run, fetched to a cache, verified both ways."""

import logging
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from covla.errors import CovlaError
from covla.files import read_object
from covla.registry import mlflow_client, mlflow_http
from covla.registry.lineage import data_set, read_lineage
from covla.registry.model_folder import verify
from covla.settings import Settings

PATH = "model"
DESCRIBES = ("window", "posts_folder", "preset", "seed", "arch", "teacher")  # of training.json

log = logging.getLogger(__name__)


def store(folder: Path, digest: str, metrics: Mapping[str, Any] | None, settings: Settings) -> str:
    """Make a run with the folder's metrics, parameters and files. Returns its id.

    The run ends as FINISHED only after the stored files were read back and held against their
    manifest; a run without a model version is seen by no reader of the registry.

    Raises:
        CovlaError: what was stored is not what was given.
        ServiceUnavailable: the store does not answer.
    """
    client = mlflow_client.client(settings)
    experiment = mlflow_client.experiment_id(settings)
    about, lineage = _read(folder / "training.json"), read_lineage(folder)
    numbers = flatten(metrics if metrics is not None else _read(folder / "metrics.json"))
    with mlflow_client.translate_mlflow_errors(settings):
        run = client.create_run(experiment, tags={"digest": digest}, run_name=digest[:12])
        run_id = str(run.info.run_id)
        try:
            for key in DESCRIBES:
                if about.get(key) is not None:
                    client.log_param(run_id, key, str(about[key])[:500])
            if lineage is not None:
                client.log_inputs(run_id, [data_set(lineage)])
            for key, value in numbers.items():
                client.log_metric(run_id, key, value)
            client.log_artifacts(run_id, str(folder), PATH)
            with _downloaded(run_id, digest, settings):
                client.set_terminated(run_id)
        except BaseException:
            client.set_terminated(run_id, "FAILED")
            raise
    return run_id


def fetch(run_id: str, digest: str, settings: Settings) -> Path:
    """The files of a run, in the cache under their digest; verified now, whoever put them there.

    Raises:
        CovlaError: what is stored does not match its manifest, or has another digest.
        ServiceUnavailable: the store does not answer.
    """
    folder = settings.cache / "models" / digest
    if folder.exists():
        try:
            verify(folder)
            return folder
        except CovlaError as error:
            log.warning("a cached model is damaged and fetched again: %s", error)
            shutil.rmtree(folder)
    with _downloaded(run_id, digest, settings) as got:
        try:
            got.rename(folder)
        except OSError:
            verify(folder)  # another process was first with the same bytes
    return folder


@contextmanager
def _downloaded(run_id: str, digest: str, settings: Settings) -> Iterator[Path]:
    """A run's files in a folder of their own, verified; gone at the end unless renamed."""
    scratch = settings.cache / "models" / f".{digest[:12]}.{secrets.token_hex(4)}"
    scratch.mkdir(parents=True)
    try:
        if mlflow_http.is_server(settings):
            got = mlflow_http.download(run_id, PATH, scratch, settings)
        else:
            with mlflow_client.translate_mlflow_errors(settings):
                client = mlflow_client.client(settings)
                got = Path(client.download_artifacts(run_id, PATH, str(scratch)))
        if verify(got) != digest:
            raise CovlaError(
                f"run {run_id}: the stored manifest is not the registered one",
                hint="The files were changed after registration; they were not loaded",
            )
        yield got
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    return read_object(path)


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """Every number of a nested mapping, by its dotted path."""
    flat: dict[str, float] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            flat[f"{prefix}{key}"] = float(value)
    return flat
