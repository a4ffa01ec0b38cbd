"""Versions beside the champion: a canary answers a share of the posts, a shadow answers the same
posts for comparison alone. Each is an alias in MLflow; the canary's share is a tag of its version
(ADR 33)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from covla.errors import CovlaError, Refused
from covla.registry import mlflow_client
from covla.registry.registry import Registry
from covla.registry.releases import ReadOnlyRegistry
from covla.settings import Settings
from covla.times import now

Role = Literal["canary", "shadow"]
WEIGHT = "canary_weight"  # a tag


@dataclass(frozen=True)
class Rollout:
    """Who answers: the canary has `weight` of the posts, 0 to 1, the champion the others. A canary
    that is the champion is None."""

    champion: str | None
    canary: str | None = None
    weight: float = 0.0


def check_weight(weight: float) -> float:
    """The weight as it is.

    Raises:
        CovlaError: it is no number from 0 to 1.
    """
    if math.isnan(weight) or not 0 <= weight <= 1:
        raise CovlaError(
            f"the weight of a canary is {weight:g}, and has to be from 0 to 1",
            hint="0.1 is a tenth of the posts",
        )
    return weight


def read_rollout(settings: Settings) -> Rollout:
    """What the registry says now.

    Raises:
        CovlaError: the canary has no weight, or none that can be.
        ServiceUnavailable: the registry does not answer.
    """
    champion, canary = _champion_and("canary", settings)
    if canary is None:
        return Rollout(champion)
    tags = ReadOnlyRegistry(settings).tags(canary)
    return Rollout(champion, canary, _weight(canary, tags))


def read_shadow(settings: Settings) -> str | None:
    """The shadow's version; None where there is none, or it is the champion.

    Raises:
        ServiceUnavailable: the registry does not answer.
    """
    return _champion_and("shadow", settings)[1]


def _champion_and(role: Role, settings: Settings) -> tuple[str | None, str | None]:
    held = ReadOnlyRegistry(settings).aliases()
    champion, version = held.get("champion"), held.get(role)
    return champion, None if version == champion else version


def _weight(version: str, tags: Mapping[str, str]) -> float:
    try:
        return check_weight(float(tags.get(WEIGHT, "")))
    except ValueError:
        raise CovlaError(
            f"version {version} is the canary, and its tag {WEIGHT} is {tags.get(WEIGHT)!r}",
            hint=f"`covla canary {version} --weight 0.1`",
        ) from None


class Rollouts(Registry):
    """The registry, to put versions beside the champion and to take them off."""

    def start_canary(self, ref: str, weight: float, *, force: bool = False) -> str:
        """Let a version answer `weight` of the posts; one that is the canary gets the new weight.

        Args:
            ref: a version number, or an alias.
            weight: share of the posts, 0 to 1.
            force: although it has not passed the gate, or was rejected; it is recorded.

        Returns:
            The version number.

        Raises:
            CovlaError: the weight, or there is no such version.
            Refused: it is the champion, there is none, or it may not serve.
        """
        check_weight(weight)
        with mlflow_client.lock(self.settings):
            version = self._beside(ref)
            if not force:
                self.require_passed(version)
            self._let_in(version, self.tags(version), force)
            self.tag(version, **{WEIGHT: weight})
            self._start("canary", version)
        return version

    def start_shadow(self, ref: str) -> str:
        """Have a version answer the same posts as the champion, for comparison alone.

        Raises:
            CovlaError: there is no such version.
            Refused: it is the champion, there is none, or it was rejected.
        """
        with mlflow_client.lock(self.settings):
            version = self._beside(ref)
            self.require_not_rejected(version)
            self._start("shadow", version)
        return version

    def end(self, role: Role, *, version: str | None = None, reason: str | None = None) -> str:
        """Take the canary or the shadow off; the champion answers alone.

        Args:
            role: which one.
            version: only while it is this one.
            reason: why it is rejected: it serves again by force alone. None leaves it as it is.

        Returns:
            The version that was taken off.

        Raises:
            Refused: there is none, or it is another version.
        """
        with mlflow_client.lock(self.settings):
            held = self.aliases().get(role)
            if held is None or version not in (None, held):
                what = f"version {version} is not the {role}" if version else f"there is no {role}"
                raise Refused(what, hint="Nothing was changed; see `covla releases`")
            if reason is not None:
                self.reject(held, reason)
            self._leave(role, held)
        return held

    def _beside(self, ref: str) -> str:
        held = self.aliases()
        version = held.get(ref, ref)
        self._find(version)
        if "champion" not in held:
            raise Refused(
                "there is no champion to put a version beside", hint="`covla promote` one first"
            )
        if version == held["champion"]:
            raise Refused(f"version {version} is the champion and answers already")
        return version

    def _start(self, role: Role, version: str) -> None:
        if self.aliases().get(role) != version:
            self.tag(version, **{f"{role}_since": now().isoformat()})
            self._set(role, version)
