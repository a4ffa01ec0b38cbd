"""From a candidate to the champion: register, hold against the gate, move the aliases."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from covla.errors import CovlaError, Refused, ServiceUnavailable
from covla.evaluation.promotion_gate import Verdict, gate
from covla.inference.predictor import Predictor
from covla.posts.seen import unseen
from covla.posts.training_post import TrainingPost
from covla.registry.registry import Registry
from covla.registry.releases import ALIASES
from covla.registry.rollout import Rollouts, check_weight
from covla.settings import Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Promotion:
    """What `promote` did. `promoted` is false when the gate refused, when the registry `refused`
    for another reason, and for a `canary`, which is its share of the posts then; `verdict` is None
    without a gate."""

    version: str
    champion_before: str | None
    promoted: bool = True
    forced: bool = False
    verdict: Verdict | None = None
    left_out: int = 0
    refused: Refused | None = None
    canary: float | None = None

    @property
    def why(self) -> str:
        """Why the version serves, or why not, in one line."""
        if self.champion_before == self.version:
            return "it is the champion already"
        if self.refused is not None:
            return str(self.refused)
        if self.forced:
            return "it was forced in"
        if self.verdict is None:
            return "the gate let it in before"
        passed = self.promoted or self.canary is not None
        return "the gate let it in" if passed else "; ".join(self.verdict.reasons)

    def as_dict(self) -> dict[str, Any]:
        """Plain data, as `covla promote` prints it."""
        judged = (
            {"passed": None, "reasons": []}
            if self.verdict is None
            else (self.verdict.as_dict() | {"left_out": self.left_out})
        )
        return {
            "version": self.version, "promoted": self.promoted, "forced": self.forced,
            "champion_before": self.champion_before, "canary": self.canary,
            "why": self.why, **judged,
        }  # fmt: skip


def promote(
    candidate: str,
    posts: Sequence[TrainingPost] | None,
    settings: Settings,
    *,
    force: bool = False,
    canary: float | None = None,
    progress: Callable[[int], None] = lambda done: None,
    prepare: Callable[[str], None] = lambda version: None,
) -> Promotion:
    """Let a version serve when the gate agrees, or when it is forced, which is recorded.

    Args:
        candidate: a version number, an alias, or a model folder, which is registered first.
        posts: what the gate evaluates on; None for a version that has passed already, or by force.
        settings: the registry, and where the gate's report goes.
        force: promote although the gate says no.
        canary: let it answer this share of the posts as a canary, 0 to 1, in place of all.
        progress: called with how many more posts went through the gate.
        prepare: called with the version when nothing stands against it, before it serves.

    Raises:
        CovlaError: no such candidate, or the gate cannot decide, or `prepare` failed: then nothing
            is promoted.
        ServiceUnavailable: the registry does not answer; the same call later ends the work.
    """
    registry = Rollouts(settings)
    if canary is not None:
        check_weight(canary)
    if candidate in ALIASES or candidate.isdigit():
        version, _ = registry.resolve(candidate)
    else:
        version = registry.register(Path(candidate))
    before = registry.champion()
    verdict, left_out = None, 0
    try:
        if not force:
            registry.require_not_rejected(version)
        if posts is not None and before != version:
            registry.challenge(version)
            verdict, left_out = _evaluate(registry, version, before, posts, settings, progress)
            if not verdict.passed and not force:
                return Promotion(version, before, False, False, verdict, left_out)
        if canary is not None:
            registry.start_canary(version, canary, force=force)
        else:
            if before != version:
                if not force:
                    registry.require_passed(version)
                _prepare(prepare, version)
            registry.promote(version, force=force)
    except Refused as refused:
        return Promotion(version, before, False, False, verdict, left_out, refused)
    forced = force and before != version and (verdict is None or not verdict.passed)
    return Promotion(version, before, canary is None, forced, verdict, left_out, canary=canary)


def _prepare(prepare: Callable[[str], None], version: str) -> None:
    try:
        prepare(version)
    except CovlaError as error:
        kind = ServiceUnavailable if isinstance(error, ServiceUnavailable) else CovlaError
        raise kind(
            f"version {version} is not promoted, as the features are not ready for it: {error}",
            hint=f"Then go on with `covla promote {version}`",
        ) from error


def _evaluate(
    registry: Registry,
    version: str,
    champion: str | None,
    posts: Sequence[TrainingPost],
    settings: Settings,
    progress: Callable[[int], None],
) -> tuple[Verdict, int]:
    """The verdict, and how many posts had no part in it: they repeat what a model trained on."""
    folders = [registry.resolve(name)[1] for name in (version, champion) if name]
    fresh, unrecorded = unseen(posts, folders, settings)
    if left_out := len(posts) - len(fresh):
        log.warning("%d posts share content with what was trained on: left out", left_out)
    if unrecorded:
        log.warning(
            "%d models do not say what they trained on: an older version made them", unrecorded
        )
    challenger = Predictor.load(version, settings)
    challenger.warm_up()
    against = Predictor.load(champion, settings) if champion else None
    if against is not None:
        against.warm_up()
    verdict = gate(challenger, against, fresh, settings, progress=progress)
    _record(registry, version, verdict)
    return verdict, left_out


def _record(registry: Registry, version: str, verdict: Verdict) -> None:
    """The report and the verdict, with the version in MLflow; what `covla releases` shows last."""
    assert verdict.report is not None
    files = [verdict.report, verdict.report.with_suffix(".json")]
    address = registry.attach(version, files, "gate")
    registry.tag(
        version,
        gate_report=f"{address}/{verdict.report.name}",
        gate_posts=verdict.posts,
        gate_against=verdict.champion or "floors",
        gate_reasons="\n".join(verdict.first_reasons),
        gate="passed" if verdict.passed else "failed",
    )
