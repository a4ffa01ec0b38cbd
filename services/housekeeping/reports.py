"""Old pages and their JSON in STATE/reports."""

from collections.abc import Collection
from datetime import datetime
from pathlib import Path

from covla.registry.stored import StoredVersion
from covla.settings import Settings
from services.housekeeping.files import Freed, files_of, remove_files


def expire_reports(
    needed: Collection[StoredVersion],
    settings: Settings,
    before: datetime,
    *,
    dry_run: bool = False,
) -> Freed:
    """Remove reports that were last written before a time; those of the gate on versions that are
    `needed` stay."""
    kept = {Path(v.tags["gate_report"]).with_suffix("") for v in needed if "gate_report" in v.tags}
    gate = settings.reports / "gate"
    kept |= {path.with_suffix("") for v in needed for path in gate.glob(f"{v.version}-against-*")}
    old = [
        (path, about)
        for path, about in files_of(settings.reports)
        if about.st_mtime < before.timestamp() and path.with_suffix("") not in kept
    ]
    # Folders into which nothing came since: nobody is about to write there.
    folders = {path.parent for path, _ in old}
    quiet = {folder for folder in folders if folder.stat().st_mtime < before.timestamp()}
    freed = remove_files(old, dry_run=dry_run)
    if not dry_run:
        for folder in quiet - {settings.reports}:
            if not any(folder.iterdir()):
                folder.rmdir()
    return freed
