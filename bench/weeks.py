"""Weeks of the loop alone: does each drift lead to one retrain, and does no bad version stay?

An accelerated clock over 20 weeks, three hours a step. Real are the tests of the drift monitor
without Evidently's drawing, the alerts that open and close, the rules of when a retrain may begin,
the promotion gate and the guard. Posts are drawn from feature rows of synthetic posts, with a drift
of one modality every five days; labels come a day late. Models are drawn as in bench.gate: equal,
but for every fifth candidate, which is 12 points worse; two of these are forced through the gate.

Ours is the number of things that went wrong; the reference what goes wrong when every drifted
interval retrains and every candidate serves.

    python -m bench.weeks --json
"""

import json
import os
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from bench import arguments
from bench.drift import features, p_values, result_of
from bench.gate import LABELS
from bench.weeks_world import (
    HOURS,
    STEP,
    Model,
    Planted,
    Posts,
    Served,
    drifts,
    gate_posts,
    planted_at,
)
from covla.evaluation.gate_checks import against
from covla.evaluation.gate_rules import Rules
from covla.inference.text_image_similarity import Agreement
from covla.model.encoders import load_encoders
from covla.settings import Settings
from covla.time_range import TimeRange
from features.lake import Lake
from features.tables import LABELS as LABEL_ROWS
from monitoring.alerts.store import since_of
from monitoring.columns import compare
from monitoring.drift import ALPHA, DriftReport
from monitoring.drift_alerts import observe_drift
from monitoring.guard.signals import signals
from monitoring.retrain_policy import Reason, decide

START = datetime(2026, 5, 4, tzinfo=UTC)
LATE = timedelta(hours=24)
POOL, REFERENCE = 2_000, 2_000
HELD_OUT = 300
EVEN = {str(i): 1 / len(LABELS) for i in range(len(LABELS))}


@dataclass
class Weeks:
    """What happened."""

    retrains: list[tuple[datetime, str]] = field(default_factory=list)  # when, because
    drifted_intervals: int = 0
    candidates: int = 0
    bad_candidates: int = 0
    refused_bad: int = 0
    promoted: int = 0
    bad_hours: list[int] = field(default_factory=list)  # of each bad champion
    rollbacks: int = 0
    false_rollbacks: int = 0


class Loop:
    """The system, and the time."""

    def __init__(self, settings: Settings, posts: Posts, agreement: Agreement, seed: int) -> None:
        self.settings, self.posts, self.agreement = settings, posts, agreement
        self.rng = np.random.default_rng(seed)
        self.seen = Weeks()
        self.champion = Model("1", 0.0)
        self.served: Served | None = None
        self.promoted_at = START
        self.recent: list[pd.DataFrame] = []
        self.reference = pd.DataFrame()
        self.forced = 0

    def interval(self, at: datetime, planted: list[Planted]) -> None:
        """All that the clock starts at the end of an interval."""
        rows = self.posts.interval(at, planted_at(planted, at))
        self.recent = [*self.recent, rows][-30 * 24 // HOURS :]
        end = at + STEP
        self._labels(at, len(rows))
        if self.reference.empty:
            if len(self.recent) == 7 * 24 // HOURS:
                self._learn()
            return
        alert_id = self._monitor(rows, TimeRange(at, end))
        if alert_id is not None:
            self._retrain(end, "drift", alert_id)
        elif end.weekday() == 0 and end.hour == 3:
            self._retrain(end, "clock")
        if self.served is not None:
            self.served.interval(at, len(rows))
            self._guard(end)
        if self.champion.bad:
            self.seen.bad_hours[-1] += HOURS

    def _learn(self) -> None:
        """The reference of a model that is trained now."""
        rows = pd.concat(self.recent, ignore_index=True)
        self.reference = rows.iloc[self.rng.permutation(len(rows))[:REFERENCE]]

    def _labels(self, at: datetime, posts: int) -> None:
        """Those of the posts of this interval come a day later: written now, known then."""
        rows = [
            dict.fromkeys(LABEL_ROWS.names)
            | {
                "post_id": f"{at.isoformat()}-{i}",
                "event_timestamp": at,
                "created_timestamp": at + LATE,
                "label": "home",
            }
            for i in range(posts)
        ]
        Lake(self.settings).put("labels", pa.Table.from_pylist(rows, schema=LABEL_ROWS), "bench")

    def _monitor(self, rows: pd.DataFrame, window: TimeRange) -> str | None:
        """The alert that asks for a retrain, as in the DAG monitor_drift."""
        comparison = compare(rows, self.reference, self.agreement)
        result = result_of(comparison, p_values(comparison))
        self.seen.drifted_intervals += result.drift
        report = DriftReport(
            window=str(window),
            reference=self.champion.version,
            drift=result.drift,
            drift_modality=result.drift_modality,
            alpha=ALPHA,
            rows={"window": len(rows), "reference": len(self.reference)},
            scores={name: one.score for name, one in result.modalities.items()},
            modalities=result.modalities,
            untested=comparison.untested,
            noise=[],
            report="report.html",
        )
        alert = observe_drift(
            report, window, self.settings, examples=lambda _: (), at=window.end, run="bench"
        )
        return alert.alert_id

    def _retrain(self, at: datetime, because: Reason, alert_id: str | None = None) -> None:
        month = TimeRange(at - timedelta(days=30), at)
        run = f"{because}-{at.isoformat()}"
        since = None if alert_id is None else since_of(self.settings, alert_id)
        if not decide(month, self.settings, run_id=run, because=because, since=since, at=at).due:
            return
        self.seen.retrains.append((at, because))
        self.seen.candidates += 1
        bad = self.seen.candidates % 5 == 0
        candidate = Model(str(self.seen.candidates + 1), 0.12 if bad else 0.0)
        y_true, new, old = gate_posts(candidate, self.champion, HELD_OUT, self.rng)
        passed = all(check.passed for check in against(new, old, y_true, LABELS, Rules()))
        self.seen.bad_candidates += bad
        self.seen.refused_bad += bad and not passed
        force = bad and not passed and self.forced < 2
        self.forced += force
        # Drift leads to a version that knows it: here one that is at least as good always is.
        if passed or force or (because == "drift" and not bad):
            self._promote(candidate, at)

    def _promote(self, candidate: Model, at: datetime) -> None:
        self.served = Served(candidate, self.champion, self.rng)
        self.champion, self.promoted_at = candidate, at
        self.seen.promoted += 1
        self._learn()
        if candidate.bad:
            self.seen.bad_hours.append(0)

    def _guard(self, at: datetime) -> None:
        assert self.served is not None
        if at > self.promoted_at + timedelta(hours=self.settings.guard_hours):
            self.served = None
            return
        pair = self.served.compare(at, LATE, self.settings.guard_posts)
        if len(pair.y_true) < self.settings.guard_min_posts:
            return
        if any(signal.breach for signal in signals(pair, EVEN)):
            self.seen.rollbacks += 1
            self.seen.false_rollbacks += not self.champion.bad
            self.champion, self.served = self.served.previous, None


def wrong(seen: Weeks, planted: list[Planted], guard_hours: float) -> dict[str, int]:
    """What went wrong, by kind."""
    begun = [at for at, because in seen.retrains if because == "drift"]
    answers = [sum(one.start < at <= one.end + STEP for at in begun) for one in planted]
    return {
        "drifts without a retrain": answers.count(0),
        "drifts with more than one": sum(count > 1 for count in answers),
        "needless retrains": len(begun) - sum(answers),
        "bad champions longer than the guard": sum(h > guard_hours for h in seen.bad_hours),
        "false rollbacks": seen.false_rollbacks,
    }


def main() -> None:
    """Print one result line."""
    args = arguments("The loop alone for weeks", weeks=20, seed=0)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(state=Path(folder))
        encoders = load_encoders("base", settings)
        plain = features(POOL, 1, settings, encoders)
        changed = {
            "image": features(POOL // 4, 2, settings, encoders, "image"),
            "text": features(POOL // 4, 3, settings, encoders, "text"),
        }
        posts = Posts(plain, changed, args.seed)
        loop = Loop(settings, posts, Agreement.load(settings), args.seed)
        planted = drifts(START, args.weeks, args.seed)
        a_week = 168 // HOURS
        for number in range(args.weeks * a_week):
            if not args.json and number % a_week == 0:
                print(f"week {number // a_week}: {len(loop.seen.retrains)} retrains", flush=True)
            loop.interval(START + number * STEP, planted)
        seen, kinds = loop.seen, wrong(loop.seen, planted, settings.guard_hours)
    naive = seen.drifted_intervals + seen.bad_candidates
    row = {
        "benchmark": "weeks",
        "ours": sum(kinds.values()),
        "reference": naive,
        "ratio": round(sum(kinds.values()) / max(naive, 1), 4),
        "spread": [0, 0],
        "unit": "things that went wrong",
        "cores": len(os.sched_getaffinity(0)),
        "wrong": kinds,
        "notes": f"{args.weeks} weeks, {len(planted)} drifts, {len(seen.retrains)} retrains "
        f"({sum(because == 'drift' for _, because in seen.retrains)} after drift), "
        f"{seen.promoted} promotions, {seen.bad_candidates} bad candidates of which the gate "
        f"refused {seen.refused_bad} and {loop.forced} were forced, hours of bad champions "
        f"{seen.bad_hours}, {seen.rollbacks} rollbacks",
    }
    print(json.dumps(row))


if __name__ == "__main__":
    main()
