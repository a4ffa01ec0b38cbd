"""What can be computed or fetched again and was not used for long."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from covla.settings import Settings
from services.housekeeping.files import (
    Freed,
    files_of,
    half_removed,
    last_used,
    remove_files,
    remove_folder,
)


def expire_caches(
    needed: set[str], settings: Settings, before: datetime, *, dry_run: bool = False
) -> Freed:
    """Remove files of the cache that were last used before a time. A fetched model goes whole or
    not at all, and the digests of `needed` stay."""
    models = settings.cache / "models"
    old = (
        (path, about)
        for path, about in files_of(settings.cache)
        if last_used(about) < before.timestamp() and not path.is_relative_to(models)
    )
    freed = remove_files(old, dry_run=dry_run)
    for folder in _unused(models, needed, before):
        freed += remove_folder(folder, dry_run=dry_run)
    return freed


def _unused(models: Path, needed: set[str], before: datetime) -> Iterator[Path]:
    yield from half_removed(models)
    for folder in sorted(models.glob("*/")):
        times = [last_used(about) for _, about in files_of(folder)]
        used = max(times, default=folder.stat().st_mtime)
        half = folder.name.endswith(".gone")
        if folder.name not in needed and not half and used < before.timestamp():
            yield folder
