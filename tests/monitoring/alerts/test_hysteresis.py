"""An alert opens once and closes once, in whatever order and how often intervals are run."""

from datetime import UTC, datetime, timedelta

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from covla.settings import Settings
from covla.time_range import TimeRange
from monitoring.alerts.hysteresis import Limits, decide, observe
from monitoring.alerts.store import kept_alerts

START = datetime(2026, 5, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def hour(n: int) -> TimeRange:
    return TimeRange(START + n * HOUR, START + (n + 1) * HOUR)


Runs = list[tuple[int, bool]]  # hour, and whether drift was found in it


def changes(runs: Runs, close_after: int = 3, open_after: int = 1) -> list[tuple[int, str]]:
    """What each run changed: the hour, and "open" or "close"."""
    limits = Limits(open_after, close_after)
    kept: dict[TimeRange, bool] = {}
    made: list[tuple[int, str]] = []
    for n, found in runs:
        is_open = bool(made) and made[-1][1] == "open"
        change = decide(kept, hour(n), found, limits, is_open=is_open)
        kept.setdefault(hour(n), found)
        if change:
            made.append((n, change))
    return made


def in_order(pattern: str) -> Runs:
    return [(n, sign == "d") for n, sign in enumerate(pattern)]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("d", [(0, "open")]),
        (".dddddd", [(1, "open")]),
        (".d.d..d..d", [(1, "open")]),  # it flaps
        ("d..d...", [(0, "open"), (6, "close")]),
        ("d....d...", [(0, "open"), (3, "close"), (5, "open"), (8, "close")]),
        ("....", []),
    ],
)
def test_by_the_clock(pattern: str, expected: list[tuple[int, str]]) -> None:
    assert changes(in_order(pattern)) == expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("d", []),
        ("d.d.d", []),
        (".dd", [(2, "open")]),
        ("d.dd.d...", [(3, "open"), (8, "close")]),
        ("dd...d...dd", [(1, "open"), (4, "close"), (10, "open")]),
    ],
)
def test_a_lone_interval_opens_nothing_where_two_are_needed(
    pattern: str, expected: list[tuple[int, str]]
) -> None:
    assert changes(in_order(pattern), open_after=2) == expected


@given(st.text("d.", max_size=40), st.integers(1, 5), st.integers(1, 4))
def test_it_opens_and_closes_in_turn_each_after_so_many(
    pattern: str, close_after: int, open_after: int
) -> None:
    made = changes(in_order(pattern), close_after, open_after)
    assert [change for _, change in made] == (["open", "close"] * len(made))[: len(made)]
    for n, change in made:
        row = "d" * open_after if change == "open" else "." * close_after
        assert pattern[: n + 1].endswith(row)
    if "d" * open_after in pattern:
        assert made[0] == (pattern.index("d" * open_after) + open_after - 1, "open")


@given(st.lists(st.tuples(st.integers(0, 12), st.booleans()), max_size=40), st.data())
def test_repeated_runs_change_nothing(runs: Runs, data: st.DataObject) -> None:
    once: Runs = []
    for n, found in runs:
        if n not in [other for other, _ in once]:
            once.append((n, found))
    repeated = list(once)
    for index in data.draw(st.lists(st.integers(0, max(len(once) - 1, 0)), max_size=10)):
        if once:
            n, _ = once[index]
            first = [other for other, _ in repeated].index(n)
            place = data.draw(st.integers(first + 1, len(repeated)))
            repeated.insert(place, (n, data.draw(st.booleans())))
    assert changes(repeated) == changes(once)


@given(st.permutations(range(12)), st.lists(st.booleans(), min_size=12, max_size=12))
def test_a_late_interval_opens_nothing(order: list[int], found: list[bool]) -> None:
    runs = [(n, found[n]) for n in order]
    for n, change in changes(runs):
        newest = all(n >= other for other in order[: order.index(n)])
        assert change == "close" or newest


@hypothesis.settings(max_examples=15)
@given(st.lists(st.tuples(st.integers(0, 8), st.booleans()), max_size=15))
def test_the_kept_alerts_are_those_of_the_rule(
    tmp_path_factory: pytest.TempPathFactory, runs: Runs
) -> None:
    settings = Settings(state=tmp_path_factory.mktemp("state"), alert_close_after=2)
    made = []
    for n, found in runs:
        alert = observe(
            settings,
            kind="drift",
            subject="image",
            window=hour(n),
            found=found,
            open_after=2,
            at=hour(n).end,
            summary="image drifted",
        )
        if alert is not None:
            made.append((n, "open" if alert.state == "open" else "close"))
    assert made == changes(runs, close_after=2, open_after=2)
    assert len(kept_alerts(settings)) == len([1 for _, change in made if change == "open"])


def test_modalities_have_alerts_of_their_own(offline_settings: Settings) -> None:
    for n, subject, found in ((0, "image", True), (1, "text", True), (2, "text", False)):
        observe(
            offline_settings,
            kind="drift",
            subject=subject,
            window=hour(n),
            found=found,
            open_after=1,
            at=hour(n).end,
            summary=f"{subject} drifted",
        )
    kept = kept_alerts(offline_settings)
    assert [(one.opened.subject, one.closed) for one in kept] == [("image", None), ("text", None)]
