"""`covla validate`: what must hold of a time range before anything is trained on it.

The result is small and plain JSON (great_expectations#8671). Its verdict and the posts that are put
aside go to the lake, where every training set leaves them out.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pandas as pd

from covla.files import write_bytes_aside
from covla.html import render
from covla.posts.taxonomy import load_taxonomy
from covla.registry.reference import champion_at, reference_rows
from covla.settings import Settings
from covla.time_range import TimeRange
from covla.times import now
from features.training_set import training_set
from features.validation import keep, suite
from features.validation.checks import Check, Outcome, Planned
from features.validation.columns import measured, with_hashes
from features.validation.examples import Example, examples
from features.validation.interval import comparable_counts, dead_letters_of
from features.validation.outcome import Found, checks, found
from features.validation.plan import Evidence, plan
from features.validation.rules import Rule, load_rules

OPTIONS = orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY


@dataclass(frozen=True)
class Validation:
    """What `covla validate` finds of a time range."""

    window: str
    success: bool
    rows: int
    quarantined: int
    failed: list[str]  # what blocked it
    warned: list[str]
    passed_over: dict[str, int]  # table of the lake -> rows whose time cannot be
    compared_with: dict[str, Any]  # the champion's version, time ranges before
    expectations: list[Check]
    report: str  # path of the page

    def as_dict(self) -> dict[str, Any]:
        """The JSON document; what a check has no value for is no field of it."""
        document = asdict(self)
        for check in document["expectations"]:
            for name in ("observed", "reason", "alternatives"):
                if check[name] is None:
                    del check[name]
        return document


def validate(window: TimeRange, settings: Settings, as_of: datetime | None = None) -> Validation:
    """Check a time range; writes the result, its page, the verdict and the quarantined rows.

    With `as_of` a second run gives the same: it reads the lake, and the champion, as of then.

    Raises:
        CovlaError: the file of expectations cannot be used, or the champion has no reference.
        ServiceUnavailable: the registry does not answer.
    """
    rules = load_rules(settings)
    frame = training_set(window, settings, as_of, everything=True)
    as_of = as_of or now()
    odd = frame.attrs["passed_over"]
    version = champion_at(as_of, settings)
    reference = None if version is None else reference_rows(version, settings)[1]
    counts = comparable_counts(window, settings, as_of)
    finds: list[Found] = []
    made = [_no_rows(frame)]
    if not frame.empty:
        frame = with_hashes(frame, window, settings, as_of)
        dead = dead_letters_of(window, settings, as_of)
        names = load_taxonomy(settings=settings).names
        evidence = Evidence(counts, dead, reference, names)
        aside = keep.put_aside(frame, window, settings, as_of)
        finds, rest = evaluate(measured(frame), rules, evidence, aside)
        made += checks(finds, len(frame)) + rest
    bad: dict[str, list[str]] = {}
    for one in finds:
        for post_id in one.aside(one.rule.severity):
            bad.setdefault(post_id, []).append(_words(one.planned))
    failed = [_words(check) for check in made if check.outcome == "blocked"]
    keep.quarantine(frame, bad, window, settings, as_of)
    if not frame.empty:  # of no post there is nothing to say, and late ones are not to blame
        keep.verdict(failed, window, settings, as_of)
    report = settings.reports / "validation" / f"{window.slug}.html"
    validation = Validation(
        str(window),
        not failed,
        len(frame),
        len(bad),
        failed,
        [_words(check) for check in made if check.outcome == "warned"],
        odd,
        {"champion": version, "time_ranges": len(counts)},
        made,
        str(report),
    )
    _write(validation, examples(frame, finds, settings))
    return validation


def evaluate(
    frame: pd.DataFrame, rules: Mapping[str, Rule], evidence: Evidence, aside: set[str]
) -> tuple[list[Found], list[Check]]:
    """What is found, and the checks that there was too little for.

    Args:
        frame: of `columns.measured`, not empty.
        rules: of `load_rules`.
        evidence: what the posts are held against.
        aside: ids of the posts that an earlier run put aside.
    """
    entries = list(plan(frame, rules, evidence))
    planned = [entry for entry in entries if isinstance(entry, Planned)]
    dead = len(evidence.dead_letters)
    records = pd.DataFrame({"dead_letter": [0.0] * len(frame) + [1.0] * dead})
    results = suite.run(planned, frame, records)
    finds = [
        found(one, rules[one.name], result, aside)
        for one, result in zip(planned, results, strict=True)
    ]
    return finds, [entry for entry in entries if isinstance(entry, Check)]


def _no_rows(frame: pd.DataFrame) -> Check:
    empty = frame.empty
    outcome: Outcome = "blocked" if empty else "passed"
    text = "at least one row"
    return Check("rows", "(table)", text, "block", not empty, outcome, observed=float(len(frame)))


def _words(check: Check | Planned) -> str:
    return f"{check.name}: {check.expectation}"


def _write(validation: Validation, shown: list[Example]) -> None:
    path, document = Path(validation.report), validation.as_dict()
    write_bytes_aside(path.with_suffix(".json"), orjson.dumps(document, option=OPTIONS))
    page = render("features", "validation.html.j2", **document, examples=shown)
    write_bytes_aside(path, page.encode())
