"""Model versions that the gate refused or people took back: out of the registry, with their run
and their folder in STATE/models; and what trainings and writers that were cut off left."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from covla.errors import CovlaError
from covla.registry.model_folder import digest
from covla.registry.removal import remove_run, remove_version, run_size
from covla.registry.stored import StoredVersion, model_runs
from covla.settings import Settings
from services.housekeeping.files import Freed, files_of, half_removed, remove_folder

REFUSED = {"failed", "rejected", "rolled back"}  # tag `gate` of a version


def expire_models(
    versions: Sequence[StoredVersion],
    settings: Settings,
    before: datetime,
    *,
    dry_run: bool = False,
) -> Freed:
    """Remove refused versions that were registered before a time. What has an alias stays, and so
    does what the gate let in or never saw.

    Args:
        versions: all that are stored.
        settings: the registry and the state folder.
        before: of the registration; for what was cut off, of its last change.
        dry_run: only count.

    Raises:
        ServiceUnavailable: the registry does not answer.
    """
    old = [v for v in versions if v.created_at < before and not v.aliases]
    refused = [v for v in old if v.tags.get("gate") in REFUSED]
    kept = {v.run_id for v in versions} - {v.run_id for v in refused}
    folders = _folders(settings.models, {v.digest for v in refused}, before)
    freed = sum((remove_folder(path, dry_run=dry_run) for path in folders), Freed())
    for version in refused:
        if not dry_run:
            remove_version(version, settings)
    # A run without a version: of one that went just now, or in a housekeeping that was killed, or
    # of a writer that died before it made one.
    for run_id in model_runs(settings, before):
        if run_id not in kept:
            freed += Freed(*run_size(run_id, settings))
            if not dry_run:
                remove_run(run_id, settings)
    return freed


def _folders(models: Path, digests: set[str], before: datetime) -> Iterator[Path]:
    yield from half_removed(models)
    for folder in sorted(models.glob("*/")):
        if folder.is_symlink():
            continue
        cut_off = folder.suffix == ".work" and _last_change(folder) < before.timestamp()
        if cut_off or _digest(folder) in digests:
            yield folder


def _digest(folder: Path) -> str | None:
    try:
        return digest(folder)
    except CovlaError:
        return None  # no complete model folder


def _last_change(folder: Path) -> float:
    return max((about.st_mtime for _, about in files_of(folder)), default=folder.stat().st_mtime)
