"""What is expected of a time range, and what was found of it."""

from dataclasses import dataclass, field
from typing import Any, Literal

from features.validation.rules import Severity

Outcome = Literal["passed", "warned", "quarantined", "blocked", "not evaluated"]


@dataclass(frozen=True)
class Planned:
    """One expectation of Great Expectations, with its limits."""

    name: str  # in the file of expectations
    column: str
    expectation: str  # in words
    kind: str  # the class of Great Expectations, without `Expect`
    arguments: dict[str, Any]
    about: list[str] | None = None  # of one that names posts: ids of those that it is about
    of_records: bool = False  # of the Kafka records of the time range, and not of its posts
    shows: list[str] = field(default_factory=list)  # examples, of one that names none


@dataclass(frozen=True)
class Check:
    """One expectation, and whether it holds."""

    name: str
    column: str
    expectation: str
    severity: Severity
    ok: bool  # it holds, or was not evaluated
    outcome: Outcome
    unexpected: int = 0
    examples: list[str] = field(default_factory=list)
    observed: float | None = None  # of an expectation of the whole
    reason: str | None = None  # why it was not evaluated
    # severity -> posts that training would see, were this one of that severity; where it is broken
    alternatives: dict[Severity, int] | None = None
