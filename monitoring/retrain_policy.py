"""Whether a retrain may begin: a cooldown, a cap a week, and enough new labelled posts.

What was decided is kept, a file for each run that asked, so that a drift that lasts or flaps
begins one retrain in a cooldown, and a run that is repeated gets the answer that it got. A retrain
by the clock that began before a drift has not seen it, and starts no cooldown for it.
"""

import hashlib
from collections.abc import Iterator, Set
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Literal

import orjson
import pyarrow.compute as pc
from filelock import FileLock

from covla.files import read_dataclass, write_bytes_aside
from covla.settings import Settings
from covla.time_range import TimeRange
from covla.times import now
from features.lake import Lake

WEEK = timedelta(days=7)
Reason = Literal["clock", "drift", "hand"]


@dataclass(frozen=True)
class RetrainDecision:
    """Whether run `run_id` retrains, asked `because` of the clock, a drift or by hand."""

    run_id: str
    because: Reason
    at: datetime
    new_labels: int  # labelled posts of the time range since the last retrain
    due: bool
    why: str


def decide(
    window: TimeRange,
    settings: Settings,
    *,
    run_id: str,
    because: Reason,
    since: datetime | None = None,
    at: datetime | None = None,
    cooldown_hours: float | None = None,
    per_week: int | None = None,
    min_labels: int | None = None,
) -> RetrainDecision:
    """Decide whether a run may retrain on a time range, and keep the decision.

    By hand it always may; that counts for the cooldown and the cap of others.

    Args:
        window: of the training posts.
        settings: the state folder, and defaults of the three limits.
        run_id: who asks; the same one gets the same answer again.
        because: what made it ask.
        since: when the drift that asks began, where it is known.
        at: the time that the run stands for; default: now.
        cooldown_hours, per_week, min_labels: in place of the settings `retrain_...`.

    Raises:
        CovlaError: a decision that was kept cannot be read.
    """
    folder = settings.state.absolute() / "retrains"
    path = folder / f"{hashlib.sha256(run_id.encode()).hexdigest()[:16]}.json"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        if path.exists():
            return read_dataclass(RetrainDecision, path)
        at = at or now()
        earlier = [one for one in decisions(settings) if one.due and one.at <= at]
        begun = sorted(one.at for one in earlier)
        unseen = {one.at for one in earlier if one.because == "clock" and since and one.at < since}
        labels = _new_labels(window, settings, begun[-1] if begun else None, at)
        limits = _Limits(
            timedelta(
                hours=settings.retrain_cooldown_hours if cooldown_hours is None else cooldown_hours
            ),
            settings.retrain_per_week if per_week is None else per_week,
            settings.retrain_min_labels if min_labels is None else min_labels,
        )
        refusal = None if because == "hand" else limits.refusal(begun, labels, at, unseen)
        why = refusal or f"{because}; {labels} new labelled posts"
        decision = RetrainDecision(run_id, because, at, labels, refusal is None, why)
        write_bytes_aside(path, orjson.dumps(asdict(decision), option=orjson.OPT_INDENT_2))
        return decision


def decisions(settings: Settings) -> Iterator[RetrainDecision]:
    """Every decision that was kept, in no order."""
    for path in (settings.state.absolute() / "retrains").glob("*.json"):
        yield read_dataclass(RetrainDecision, path)


@dataclass(frozen=True)
class _Limits:
    cooldown: timedelta
    per_week: int
    min_labels: int

    def refusal(
        self, begun: list[datetime], labels: int, at: datetime, unseen: Set[datetime] = frozenset()
    ) -> str | None:
        """Why not; None when a retrain may begin. `begun` are earlier ones, in order; those in
        `unseen` have no cooldown."""
        last = max((one for one in begun if one not in unseen), default=None)
        if last and at < last + self.cooldown:
            end = last + self.cooldown
            return (
                f"cooldown until {end:%Y-%m-%d %H:%M}: the last retrain began {last:%Y-%m-%d %H:%M}"
            )
        recent = sum(at - WEEK < time for time in begun)
        if recent >= self.per_week:
            return f"{recent} retrains in the last 7 days, at most {self.per_week}"
        if labels < self.min_labels:
            return f"{labels} new labelled posts, at least {self.min_labels} are needed"
        return None


def _new_labels(window: TimeRange, settings: Settings, since: datetime | None, at: datetime) -> int:
    rows = Lake(settings).read("labels", window, ["post_id", "created_timestamp"])
    written = rows["created_timestamp"]
    mask = pc.less_equal(written, at)
    if since is not None:
        mask = pc.and_(mask, pc.greater(written, since))
    return len(pc.unique(rows.filter(mask)["post_id"]))
