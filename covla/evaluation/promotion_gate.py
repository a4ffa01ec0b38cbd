"""The gate: may a challenger serve? Every number, every limit and every reason are written down."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from covla.arrays import Array
from covla.errors import CovlaError
from covla.evaluation.gate_scores import CONDITIONS, Measured, calibration_error, measure
from covla.files import write_bytes_aside
from covla.html import render
from covla.inference.predictor import Predictor
from covla.metrics import macro_f1
from covla.posts.dataset import sample
from covla.posts.training_post import TrainingPost
from covla.settings import Settings


@dataclass(frozen=True)
class Rules:
    """Limits of the gate. Shares are of posts; margins are how much worse is still "not worse".

    A margin grows with the noise of its estimate (one-sided 95 % bound of the paired difference)
    from its stated least value up to `most`.
    """

    posts: int = 300
    fewest: int = 30
    clean: float = 0.01
    noise: float = 0.02
    label: float = 0.10
    most: float = 0.05
    label_posts: int = 10  # a label with fewer holdout posts has no floor: too few to tell
    label_recall: float = 0.05
    over_majority: float = 0.05
    ece: float = 0.15
    ece_worse: float = 0.02
    latency: float = 2.0  # times the champion's
    latency_ms: float = 500.0


@dataclass(frozen=True)
class Check:
    """One question of the gate. `limit` is what `challenger` had to reach or to stay below."""

    name: str
    passed: bool
    challenger: float
    champion: float | None
    limit: float
    reason: str


@dataclass(frozen=True)
class Verdict:
    """The answer, and all that it rests on."""

    passed: bool
    challenger: str
    champion: str | None
    posts: int
    checks: list[Check]
    rules: Rules
    report: Path | None = None

    @property
    def reasons(self) -> list[str]:
        """Why not, one line for each failed check."""
        return [check.reason for check in self.checks if not check.passed]

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return asdict(self) | {
            "reasons": self.reasons,
            "report": str(self.report) if self.report else None,
        }


def gate(
    challenger: Predictor,
    champion: Predictor | None,
    posts: Sequence[TrainingPost],
    settings: Settings,
    *,
    rules: Rules | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Verdict:
    """Hold a challenger against the champion on holdout posts, or, when there is no champion yet,
    against floors alone. The verdict is written to STATE/reports/gate as JSON and HTML.

    Raises:
        CovlaError: too few labelled posts, a label that the model does not know, or different
            labels.
    """
    rules = rules or Rules()
    labelled = sample([row for row in posts if row.label is not None], rules.posts)
    if len(labelled) < rules.fewest:
        raise CovlaError(
            f"the gate needs {rules.fewest} labelled posts to judge by; there are {len(labelled)}",
            hint="Give a longer --window, or another --split",
        )
    unknown = {row.label for row in labelled} - set(challenger.labels)
    if unknown:
        raise CovlaError(
            f"the model does not know the labels {', '.join(sorted(map(str, unknown)))}"
        )
    truth = np.array([challenger.labels.index(str(row.label)) for row in labelled])
    models = [challenger] if champion is None else [challenger, champion]
    measured = measure(models, labelled, progress=progress)
    new, old = measured[0], (measured[1] if champion else None)
    checks = _floors(new, truth, challenger.labels, rules)
    if old is not None:
        checks += _against(new, old, truth, challenger.labels, rules)
    verdict = Verdict(
        all(check.passed for check in checks),
        challenger.version,
        champion.version if champion else None,
        len(labelled),
        checks,
        rules,
    )
    return _write(verdict, settings)


def _least(name: str, new: float, old: float | None, limit: float, why: str) -> Check:
    reason = f"{name}: {new:.4f}, at least {limit:.4f} ({why})"
    return Check(name, new >= limit - 1e-9, round(new, 6), _round(old), round(limit, 6), reason)


def _most(name: str, new: float, old: float | None, limit: float, why: str) -> Check:
    reason = f"{name}: {new:.4f}, at most {limit:.4f} ({why})"
    return Check(name, new <= limit + 1e-9, round(new, 6), _round(old), round(limit, 6), reason)


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def _correct(measured: Measured, condition: str, truth: Array) -> Array:
    return np.asarray(np.array(measured.predicted[condition]) == truth, dtype=float)


def margin(new: Array, old: Array, least: float, most: float) -> float:
    """How far the mean of `new` may lie below that of `old`, both 0/1 on the same posts."""
    if len(new) < 2:
        return most
    noise = 1.645 * float(np.std(new - old, ddof=1)) / len(new) ** 0.5
    return float(min(most, max(least, noise)))


def _floors(new: Measured, truth: Array, labels: list[str], rules: Rules) -> list[Check]:
    n = len(truth)
    majority = float(np.bincount(truth).max() / n)
    noise = 1.645 * (majority * (1 - majority) / n) ** 0.5
    slack = 0.5 / n**0.5  # what ECE shows on few posts even for a calibrated model
    right = _correct(new, "clean", truth)
    checks = [
        _least(
            "floor: accuracy", float(right.mean()), None, majority + rules.over_majority + noise,
            f"always answering the commonest label gives {majority:.4f}",
        ),
        _most(
            "floor: calibration error", calibration_error(new.probabilities, truth), None,
            rules.ece + slack, f"ECE over {n} posts",
        ),
        _most("floor: ms per post", new.latency_ms, None, rules.latency_ms, "best of three runs"),
    ]  # fmt: skip
    for index, name in enumerate(labels):
        mine = right[truth == index]
        if len(mine) >= rules.label_posts:
            checks.append(
                _least(
                    f"floor: recall of {name}", float(mine.mean()), None, rules.label_recall,
                    f"of {len(mine)} posts",
                )
            )  # fmt: skip
    return checks


def _against(
    new: Measured, old: Measured, truth: Array, labels: list[str], rules: Rules
) -> list[Check]:
    f1, old_f1 = (macro_f1(truth, m.predicted["clean"]) for m in (new, old))
    checks = [_least("macro-F1", f1, old_f1, old_f1, "the champion's")]
    for condition in CONDITIONS:
        a, b = (_correct(m, condition, truth) for m in (new, old))
        allowed = margin(a, b, rules.clean if condition == "clean" else rules.noise, rules.most)
        name = "accuracy" if condition == "clean" else f"accuracy, noise in {condition}"
        was = float(b.mean())
        why = f"the champion's {was:.4f} less {allowed:.4f}"
        checks.append(_least(name, float(a.mean()), was, was - allowed, why))
    clean, was_clean = (_correct(m, "clean", truth) for m in (new, old))
    for index, name in enumerate(labels):
        mine = truth == index
        if mine.sum() >= rules.label_posts:
            was = float(was_clean[mine].mean())
            allowed = margin(clean[mine], was_clean[mine], rules.label, 2 * rules.label)
            why = f"the champion's {was:.4f} less {allowed:.4f}"
            checks.append(
                _least(f"recall of {name}", float(clean[mine].mean()), was, was - allowed, why)
            )
    slack = rules.ece_worse + 0.5 / len(truth) ** 0.5
    ece, old_ece = (calibration_error(m.probabilities, truth) for m in (new, old))
    checks.append(
        _most(
            "calibration error", ece, old_ece, old_ece + slack, f"the champion's plus {slack:.4f}"
        )
    )
    limit = old.latency_ms * rules.latency
    why = f"{rules.latency:g} times the champion's"
    checks.append(_most("ms per post", new.latency_ms, old.latency_ms, limit, why))
    return checks


def _write(verdict: Verdict, settings: Settings) -> Verdict:
    name = f"{verdict.challenger}-against-{verdict.champion or 'floors'}.html"
    page = settings.reports / "gate" / name
    final = Verdict(**{**verdict.__dict__, "report": page})
    content = final.as_dict()
    data = orjson.dumps(content, option=orjson.OPT_INDENT_2, default=str)
    write_bytes_aside(page.with_suffix(".json"), data)
    write_bytes_aside(page, render("covla.evaluation", "gate_report.html.j2", **content).encode())
    return final
