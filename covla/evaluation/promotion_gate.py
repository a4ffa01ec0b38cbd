"""The gate: may a challenger serve? Every number, every limit and every reason are written down."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from covla.errors import CovlaError
from covla.evaluation.gate_checks import against, floors
from covla.evaluation.gate_rules import Check, Rules
from covla.evaluation.gate_scores import measure
from covla.files import write_bytes_aside
from covla.html import render
from covla.inference.predictor import Predictor
from covla.posts.dataset import sample
from covla.posts.training_post import TrainingPost
from covla.settings import Settings


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

    @property
    def first_reasons(self) -> list[str]:
        """What a list of versions has room for: the first reasons why not, or the score that
        let it in."""
        failed = [check for check in self.checks if not check.passed]
        compared = [check for check in self.checks if check.gain is not None]
        return [check.reason for check in (failed or compared or self.checks)[: 3 if failed else 1]]

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
    y_true = np.array([challenger.labels.index(str(row.label)) for row in labelled])
    models = [challenger] if champion is None else [challenger, champion]
    measured = measure(models, labelled, progress=progress)
    new, old = measured[0], (measured[1] if champion else None)
    checks = floors(new, y_true, challenger.labels, rules)
    if old is not None:
        checks += against(new, old, y_true, challenger.labels, rules)
    verdict = Verdict(
        all(check.passed for check in checks),
        challenger.version,
        champion.version if champion else None,
        len(labelled),
        checks,
        rules,
    )
    return _write(verdict, settings)


def _write(verdict: Verdict, settings: Settings) -> Verdict:
    name = f"{verdict.challenger}-against-{verdict.champion or 'floors'}.html"
    page = settings.reports / "gate" / name
    final = replace(verdict, report=page)
    content = final.as_dict()
    data = orjson.dumps(content, option=orjson.OPT_INDENT_2, default=str)
    write_bytes_aside(page.with_suffix(".json"), data)
    write_bytes_aside(page, render("covla.evaluation", "gate_report.html.j2", **content).encode())
    return final
