"""The guard of what is beside the champion: a canary or a shadow that is worse is taken off."""

from dataclasses import replace
from datetime import datetime

from covla.errors import CovlaError, Refused, ServiceUnavailable
from covla.registry.rollout import Role, Rollouts
from covla.settings import Settings
from covla.time_range import TimeRange
from monitoring.guard.look import GuardResult, Look, look, predicted


def guard_beside(
    role: Role, settings: Settings, at: datetime, *, dry_run: bool = False
) -> GuardResult | None:
    """Hold the canary or the shadow against the champion, on posts that champion or canary
    predicted live since it began, predicted again by both.

    One that is worse, or whose files are not what was registered, opens an alert, is marked
    rejected and taken off.

    Returns:
        None where there is none.

    Raises:
        ServiceUnavailable: the registry does not answer, or this machine fails.
    """
    registry = Rollouts(settings)
    releases = registry.releases()
    champion = next((one for one in releases if "champion" in one.aliases), None)
    beside = next((one for one in releases if role in one.aliases), None)
    if champion is None or beside is None or beside.version == champion.version:
        return None
    result = GuardResult("idle", "", at, beside.version, champion.version)
    began = beside.canary_since if role == "canary" else beside.shadow_since
    if began is None:
        return replace(result, why=f"it has no tag {role}_since; `covla {role} --help`")
    if at <= (since := datetime.fromisoformat(began)):
        return replace(result, why=f"it is the {role} since {began}")
    found = _damaged(replace(result, status="taken off"), registry)
    if found is None:
        window = TimeRange(since, at)
        rows = predicted((champion.version, beside.version), window, settings, at)
        found = look(
            *(beside.version, champion.version, rows, window, settings),
            at=at,
            breach="taken off",
        )
    return _take_off(found, role, registry) if found.worse and not dry_run else found.result


def _damaged(result: GuardResult, registry: Rollouts) -> Look | None:
    try:
        registry.resolve(str(result.version))
    except ServiceUnavailable:
        raise
    except CovlaError as error:
        return Look(replace(result, why=f"it cannot be loaded: {error}"), worse=True)
    return None


def _take_off(found: Look, role: Role, registry: Rollouts) -> GuardResult:
    result = found.result
    # The alert first: a process that ends in between finds the breach again, and opens no second.
    found.alert(
        f"version {result.version}, the {role}, is taken off: {result.why}", registry.settings
    )
    try:
        registry.end(role, version=result.version, reason=result.why)
    except Refused as error:
        return replace(result, status="idle", why=str(error))  # somebody else was faster
    return result
