"""When a retrain may begin: by the clock, after drift, by hand; and that an answer stays."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covla.settings import Settings
from covla.time_range import TimeRange
from monitoring.alerts import open_alert
from monitoring.alerts.store import RetrainNote, kept_alerts
from monitoring.retrain_policy import RetrainDecision, _Limits, decide, decisions
from tests.conftest import RunCommand
from tests.features.old_rows import label_row, put

START = datetime(2026, 5, 1, tzinfo=UTC)
MONTH = TimeRange(START - timedelta(days=30), START)
HOUR = timedelta(hours=1)


@pytest.fixture
def settings(offline_settings: Settings) -> Settings:
    """A lake with 60 labels a day, each known an hour after it was given."""
    labels = [
        label_row(i, at) | {"created_timestamp": at + HOUR}
        for i, at in enumerate(MONTH.start + i * 24 * HOUR / 60 for i in range(30 * 60))
    ]
    put(offline_settings, [], labels)
    return offline_settings


def ask(
    settings: Settings, hours: float, because: str = "drift", **more: object
) -> RetrainDecision:
    """`hours` after START - 10 days."""
    at = START - timedelta(days=10) + hours * HOUR
    return decide(
        MONTH,
        settings,
        run_id=str(hours),
        because=because,
        at=at,
        **more,  # type: ignore[arg-type]
    )


@pytest.mark.slow
def test_a_drift_that_lasts_or_flaps_begins_one_retrain_in_a_cooldown(settings: Settings) -> None:
    asked = [ask(settings, hour) for hour in (0, 1, 2, 5, 6, 20, 23, 24, 25, 47)]
    assert [index for index, one in enumerate(asked) if one.due] == [0, 7]
    assert (
        asked[1].why == "cooldown until 2026-04-22 00:00: the last retrain began 2026-04-21 00:00"
    )
    assert asked[0].new_labels == 20 * 60 - 2  # the last two are not known yet
    assert asked[7].new_labels == 60


def test_a_retrain_by_the_clock_before_a_drift_does_not_hold_its_retrain(
    settings: Settings,
) -> None:
    start = START - timedelta(days=10)
    assert ask(settings, 0, "clock", min_labels=0).due
    assert not ask(settings, 1, min_labels=0).due  # since when is not known
    assert not ask(settings, 2, since=start - HOUR, min_labels=0).due  # the clock's had it
    assert ask(settings, 3, since=start + 2 * HOUR, min_labels=0).due
    refused = ask(settings, 4, since=start + 2 * HOUR, min_labels=0)  # it lasts
    assert refused.why.endswith("the last retrain began 2026-04-21 03:00")
    assert not ask(settings, 5, since=start + 4 * HOUR, min_labels=0).due  # it flaps
    assert not ask(settings, 6, "clock", min_labels=0).due


def test_the_cap_and_the_labels_hold_after_a_retrain_by_the_clock_too(settings: Settings) -> None:
    later = {"since": START - timedelta(days=10) + HOUR}
    assert ask(settings, 0, "clock", min_labels=0).due
    assert ask(settings, 2, **later, min_labels=10).why.startswith("5 new labelled posts")
    assert ask(settings, 3, **later, min_labels=0, per_week=1).why.startswith("1 retrains in")


@pytest.mark.slow
def test_no_more_than_the_cap_in_any_seven_days(settings: Settings) -> None:
    asked = [ask(settings, 24 * day, per_week=2, min_labels=0) for day in range(10)]
    assert [day for day, one in enumerate(asked) if one.due] == [0, 1, 7, 8]
    assert asked[3].why == "2 retrains in the last 7 days, at most 2"


def test_without_new_labelled_posts_there_is_nothing_to_learn(settings: Settings) -> None:
    assert ask(settings, 0, "clock", min_labels=100).due
    refused = ask(settings, 25, "clock", min_labels=100)
    assert refused.why == "63 new labelled posts, at least 100 are needed"
    assert ask(settings, 49, "clock", min_labels=100).due


def test_by_hand_it_is_always_due_and_counts_for_others(settings: Settings) -> None:
    assert ask(settings, 0).due
    by_hand = ask(settings, 1, "hand")
    assert (by_hand.due, by_hand.why) == (True, "hand; 3 new labelled posts")
    assert not ask(settings, 24.5).due


def test_a_run_that_is_repeated_gets_its_answer_again(settings: Settings) -> None:
    first = ask(settings, 0)
    refused = ask(settings, 1)
    assert ask(settings, 0, min_labels=10**6) == first
    assert ask(settings, 1, cooldown_hours=0) == refused
    assert len(list(decisions(settings))) == 2


def test_a_backfill_of_earlier_days_is_not_held_by_later_retrains(settings: Settings) -> None:
    assert ask(settings, 100).due
    assert ask(settings, 0).due


def test_the_command_ends_with_4_and_says_why(settings: Settings, run_command: RunCommand) -> None:
    line = ["retrain-due", "--window", MONTH, "--because", "drift", "--json"]
    line += ["--as-of", START.isoformat()]
    done = run_command(settings, *line, "--run", "a")
    assert (done.returncode, done.json["due"]) == (0, True)
    assert done.json["at"] == START.isoformat()
    done = run_command(settings, *line, "--run", "b")
    assert done.returncode == 4
    assert done.json["why"].startswith("cooldown until 2026-05-02 00:00")


def test_the_answer_is_kept_beside_the_alert_that_asks(
    settings: Settings, run_command: RunCommand
) -> None:
    alert = open_alert(settings, kind="drift", subject="image", summary="drifted", at=START)
    assert alert
    line = ["retrain-due", "--window", MONTH, "--because", "drift", "--run", "a", "--json"]
    line += ["--as-of", START.isoformat()]
    for _ in range(2):
        done = run_command(settings, *line, "--alert", alert.alert_id)
        assert done.returncode == 0
    (kept,) = kept_alerts(settings)
    assert kept.retrains == [RetrainNote("a", START, True, done.json["why"])]
    foreign = run_command(settings, *line, "--alert", "f" * 32)
    assert foreign.json == done.json
    assert f"retrain-due: alert {'f' * 32} is of another state folder" in foreign.stderr


@given(
    st.lists(st.integers(0, 24 * 60), max_size=60),
    st.integers(0, 72),
    st.integers(1, 5),
)
def test_whoever_asks_how_often_the_limits_hold(hours: list[int], cooldown: int, cap: int) -> None:
    limits = _Limits(cooldown * HOUR, cap, 0)
    begun: list[datetime] = []
    for at in sorted(START + hour * HOUR for hour in hours):
        if limits.refusal(begun, 0, at) is None:
            begun.append(at)
    gaps = [later - earlier for earlier, later in pairwise(begun)]
    assert all(gap >= cooldown * HOUR for gap in gaps)
    for first in begun:
        assert sum(first <= at < first + timedelta(days=7) for at in begun) <= cap
    if hours:
        assert begun
