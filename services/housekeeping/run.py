"""One housekeeping: what is older than its retention goes, kind by kind."""

from contextlib import nullcontext
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from covla.errors import CovlaError
from covla.registry.stored import stored_versions
from covla.removal_lock import removing
from covla.settings import Settings
from covla.times import now
from services.housekeeping.caches import expire_caches
from services.housekeeping.files import Freed
from services.housekeeping.images import expire_images
from services.housekeeping.models import expire_models
from services.housekeeping.reports import expire_reports
from services.housekeeping.texts import expire_texts


@dataclass(frozen=True)
class Housekeeping:
    """What was removed, or with `dry_run` would be, by kind."""

    as_of: datetime
    dry_run: bool
    freed: dict[str, Freed]

    def as_dict(self) -> dict[str, Any]:
        """Plain data, as `covla housekeeping` prints it; sums are in `files` and `bytes`."""
        total = sum(self.freed.values(), Freed())
        return {
            "as_of": self.as_of.isoformat(),
            "dry_run": self.dry_run,
            **asdict(total),
            "freed": {kind: asdict(freed) for kind, freed in self.freed.items()},
        }


def housekeeping(
    settings: Settings,
    *,
    as_of: datetime | None = None,
    dry_run: bool = False,
    wait: float = 0.0,
) -> Housekeeping:
    """Remove what is older than the settings `..._retention_days` allow.

    Whenever it is killed, a second run ends the work; where nothing became old since, a run
    removes nothing. Ingest may run meanwhile. Commands that work on posts, such as a training, and
    this one take turns.

    Args:
        settings: the state folder and the retentions.
        as_of: the time that ages are counted from; default: now.
        dry_run: only count.
        wait: seconds for commands that work on posts now.

    Raises:
        CovlaError: `as_of` is in the future, or images or texts of the training window are not
            kept for its length.
        ServiceUnavailable: a command works on posts now, or a store does not answer.
    """
    at = now() if as_of is None else as_of
    if at > now():
        raise CovlaError(f"as-of: {at.isoformat()} is in the future", hint="Give an earlier time")
    _check_retention(settings)
    with nullcontext() if dry_run else removing(settings, wait=wait):
        versions = stored_versions(settings)  # first: a registry that is away ends it
        needed = [version for version in versions if version.aliases]
        digests = {version.digest for version in needed}

        def before(kind: str) -> datetime:
            days: int = getattr(settings, f"{kind}_retention_days")
            return at - timedelta(days=days)

        freed = {
            "images": expire_images(settings, before("blob"), dry_run=dry_run),
            "texts": expire_texts(settings, before("text"), dry_run=dry_run),
            "models": expire_models(versions, settings, before("model"), dry_run=dry_run),
            "caches": expire_caches(digests, settings, before("cache"), dry_run=dry_run),
            "reports": expire_reports(needed, settings, before("report"), dry_run=dry_run),
        }
    return Housekeeping(at, dry_run, freed)


def _check_retention(settings: Settings) -> None:
    days = settings.train_window_hours / 24
    for name in ("blob", "text"):
        if getattr(settings, f"{name}_retention_days") < days:
            raise CovlaError(
                f"COVLA_{name.upper()}_RETENTION_DAYS is shorter than COVLA_TRAIN_WINDOW_HOURS: "
                "trainings would miss posts",
                hint=f"Set it to {days:g} days or more",
            )
