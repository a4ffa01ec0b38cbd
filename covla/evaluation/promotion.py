"""From a candidate to the champion: register, hold against the gate, move the aliases."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from covla.evaluation.promotion_gate import Verdict, gate
from covla.inference.predictor import Predictor
from covla.posts.seen import unseen
from covla.posts.training_post import TrainingPost
from covla.registry.registry import ALIASES, Registry
from covla.settings import Settings

log = logging.getLogger(__name__)


def promote(
    candidate: str,
    posts: Sequence[TrainingPost] | None,
    settings: Settings,
    *,
    force: bool = False,
    progress: Callable[[int], None] = lambda done: None,
) -> dict[str, Any]:
    """Let a version serve when the gate agrees, or when it is forced, which is recorded.

    Args:
        candidate: a version number, an alias, or a model folder, which is registered first.
        posts: what the gate judges by; None for a version that has passed already, or by force.
        settings: the registry, and where the gate's report goes.
        force: promote although the gate says no.

    Returns:
        What happened: `promoted` false when the gate said no, with `reasons`.

    Raises:
        CovlaError: no such candidate, or the gate cannot judge.
        Refused: without posts, and the version has not passed before.
    """
    registry = Registry(settings)
    if candidate in ALIASES or candidate.isdigit():
        version, _ = registry.resolve(candidate)
    else:
        version = registry.register(Path(candidate))
    before = registry.champion()
    done: dict[str, Any] = {"version": version, "promoted": True, "forced": False}
    if before == version:
        return done | {"champion_before": before, "passed": None, "reasons": []}
    done["champion_before"] = before
    verdict = None
    if posts is not None:
        registry.challenge(version)
        verdict, left_out = _judge(registry, version, before, posts, settings, progress)
        done |= verdict.as_dict() | {"left_out": left_out}
        if not verdict.passed and not force:
            return done | {"promoted": False}
    registry.promote(version, force=force)
    done["forced"] = force and (verdict is None or not verdict.passed)
    return {"passed": None, "reasons": []} | done


def _judge(
    registry: Registry,
    version: str,
    champion: str | None,
    posts: Sequence[TrainingPost],
    settings: Settings,
    progress: Callable[[int], None],
) -> tuple[Verdict, int]:
    """The verdict, and how many posts had no part in it: they repeat what a model trained on."""
    folders = [registry.resolve(name)[1] for name in (version, champion) if name]
    fresh, silent = unseen(posts, folders, settings)
    if left_out := len(posts) - len(fresh):
        log.warning("%d posts share content with what was trained on: left out", left_out)
    if silent:
        log.warning("%d models do not say what they trained on: an older version made them", silent)
    challenger = Predictor.load(version, settings)
    challenger.warm_up()
    against = Predictor.load(champion, settings) if champion else None
    if against is not None:
        against.warm_up()
    verdict = gate(challenger, against, fresh, settings, progress=progress)
    registry.tag(
        version,
        gate="passed" if verdict.passed else "failed",
        gate_report=verdict.report,
        gate_posts=verdict.posts,
    )
    return verdict, left_out
