"""What follows from a result: nothing, a warning, posts put aside, or a time range blocked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from features.validation.checks import Check, Outcome, Planned
from features.validation.limits import most_of
from features.validation.rules import Rule, Severity
from features.validation.suite import Result

EXAMPLES = 5


@dataclass(frozen=True)
class Found:
    """An expectation, its rule, and the posts that break it.

    `holds` is the result for an expectation of the whole. `bad` and `fresh` are the ids of posts
    that break one which names posts, all and those that no earlier run put aside; `about` and
    `fresh_about` are how many posts it is about, likewise.
    """

    planned: Planned
    rule: Rule
    holds: bool
    bad: list[str]
    fresh: list[str]
    about: int
    fresh_about: int
    values: list[str]  # examples of what breaks it
    observed: float | None

    def outcome(self, severity: Severity) -> Outcome:
        """What would follow, were the expectation of this severity.

        Posts that are aside already do not block a time range again.
        """
        rule = self.rule
        if self.planned.about is None:
            return "passed" if self.holds else "blocked" if severity == "block" else "warned"
        if severity == "block":
            most = most_of(self.fresh_about, rule.limit)
            return "blocked" if len(self.fresh) > most else "passed"
        if len(self.bad) <= most_of(self.about, rule.limit):
            return "passed"
        if severity == "warn":
            return "warned"
        above = rule.block_above
        if above is not None and len(self.fresh) > most_of(self.fresh_about, above):
            return "blocked"
        return "quarantined"

    def aside(self, severity: Severity) -> list[str]:
        """Ids of the posts to put aside."""
        kept = severity != "quarantine" or self.outcome(severity) == "passed"
        return [] if kept else self.bad


def found(planned: Planned, rule: Rule, result: Result, aside: set[str]) -> Found:
    """Of one result of Great Expectations; `aside` are the posts that an earlier run put aside."""
    details = result["result"]
    about = planned.about or []
    bad = [row["post_id"] for row in details.get("unexpected_index_list") or []]
    bad = [post for post in bad if post in set(about)]
    values = details.get("unexpected_list") or planned.shows
    return Found(
        planned,
        rule,
        holds=bool(result["success"]),
        bad=bad,
        fresh=[post for post in bad if post not in aside],
        about=len(about),
        fresh_about=len(set(about) - aside),
        values=[_text(value) for value in values[:EXAMPLES]],
        observed=float(details["observed_value"]) if "observed_value" in details else None,
    )


def _text(value: object) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)[:80]


def checks(finds: Sequence[Found], posts: int) -> list[Check]:
    """Each with its outcome and, where it is broken, what another severity would come to."""
    severities = {id(one): one.rule.severity for one in finds}
    made = []
    for one in finds:
        severity, name = one.rule.severity, one.planned.name
        outcome = one.outcome(severity)
        others = [other for other in one.rule.severities(name) if other != severity]
        alternatives = {
            other: training_posts(finds, severities | {id(one): other}, posts) for other in others
        }
        broken = outcome != "passed"
        made.append(
            Check(
                name,
                one.planned.column,
                one.planned.expectation,
                severity,
                not broken,
                outcome,
                len(one.bad),
                one.values if broken or one.bad else [],
                one.observed,
                alternatives=alternatives if broken else None,
            )
        )
    return made


def training_posts(finds: Sequence[Found], severities: Mapping[int, Severity], posts: int) -> int:
    """How many of `posts` a training would see."""
    chosen = [(one, severities[id(one)]) for one in finds]
    if any(one.outcome(severity) == "blocked" for one, severity in chosen):
        return 0
    return posts - len({post for one, severity in chosen for post in one.aside(severity)})
