"""One look of the guard: the champion stays or the version that it replaced serves again, and what
is beside it stays or is taken off."""

from dataclasses import replace
from datetime import datetime, timedelta

from covla.errors import Refused
from covla.registry.registry import Registry
from covla.registry.releases import Release
from covla.settings import Settings
from covla.time_range import TimeRange
from covla.times import now
from monitoring.alerts import close_alert
from monitoring.alerts.store import kept_alerts
from monitoring.guard.beside import guard_beside
from monitoring.guard.look import GuardResult, Look, look, predicted


def guard(settings: Settings, *, at: datetime | None = None, dry_run: bool = False) -> GuardResult:
    """Hold the champion against the version that it replaced, on posts that it predicted live, and
    a canary and a shadow against the champion.

    It looks for `guard_hours` after a promotion, and as long as there is a canary or a shadow, once
    there are `guard_min_posts`, at up to `guard_posts` of them, those with labels and new ones
    first. A breach opens an alert, marks the version rejected and lets the previous one serve
    again, or takes the canary or shadow off.

    Args:
        settings: the registry, the lake, limits.
        at: the time that it stands for; default now.
        dry_run: find, and change nothing.

    Raises:
        ServiceUnavailable: the registry does not answer, or this machine fails.
    """
    at, registry = at or now(), Registry(settings)
    champion = _guard_champion(registry, at, settings, dry_run)
    return replace(
        champion,
        canary=guard_beside("canary", settings, at, dry_run=dry_run),
        shadow=guard_beside("shadow", settings, at, dry_run=dry_run),
    )


def _guard_champion(
    registry: Registry, at: datetime, settings: Settings, dry_run: bool
) -> GuardResult:
    releases = registry.releases()
    champion = next((one for one in releases if "champion" in one.aliases), None)
    if not dry_run and champion is not None:
        beside = {one.version for one in releases if {"canary", "shadow"} & {*one.aliases}}
        _close_others(champion.version, beside, at, settings)
    why = _not_guarded(champion, registry.aliases().get("previous"), at, settings)
    if champion is None or why is not None:
        return GuardResult("idle", why or "no version serves", at)
    window = TimeRange(_promoted_at(champion), at)
    rows = predicted((champion.version,), window, settings, at)
    found = look(
        *(champion.version, str(champion.replaced), rows, window, settings),
        at=at,
        breach="rolled back",
    )
    return _take_back(found, registry, settings) if found.worse and not dry_run else found.result


def _not_guarded(
    champion: Release | None, previous: str | None, at: datetime, settings: Settings
) -> str | None:
    """Why there is nothing to guard, or None."""
    if champion is None:
        return "no version serves"
    if champion.promoted_at is None or champion.replaced is None:
        return f"version {champion.version} replaced no other one"
    if previous != champion.replaced:
        return f"version {champion.version} serves after a rollback"
    if at <= _promoted_at(champion):
        return f"version {champion.version} was promoted after {at.isoformat()}"
    if at > _promoted_at(champion) + timedelta(hours=settings.guard_hours):
        return f"version {champion.version} held for {settings.guard_hours:g} hours"
    return None


def _promoted_at(release: Release) -> datetime:
    return datetime.fromisoformat(release.promoted_at or "")


def _take_back(found: Look, registry: Registry, settings: Settings) -> GuardResult:
    result = found.result
    # The alert first: a process that ends in between finds the breach again, and opens no second.
    found.alert(
        f"version {result.version} is taken back for {result.previous}: {result.why}", settings
    )
    try:
        registry.rollback(bad=result.version, reason=result.why)
    except Refused as error:
        return replace(result, status="idle", why=str(error))  # somebody else was faster
    return result


def _close_others(champion: str, beside: set[str], at: datetime, settings: Settings) -> None:
    """A version that was taken back and does not serve any more needs nobody."""
    for kept in kept_alerts(settings):
        alert = kept.opened
        if (
            alert.kind == "release"
            and kept.closed is None
            and alert.subject not in {champion, *beside}
        ):
            close_alert(
                settings,
                kind="release",
                subject=alert.subject,
                at=at,
                summary=f"version {champion} serves",
            )
