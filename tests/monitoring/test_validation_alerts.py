from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from covla.settings import Settings
from covla.time_range import TimeRange
from features.validation.run import Validation
from monitoring.alerts.store import kept_alerts
from monitoring.validation_alerts import alert_on_validation
from tests.features.old_rows import post_row, put

START = datetime(2026, 5, 1, tzinfo=UTC)


def hour(number: int) -> TimeRange:
    return TimeRange(START + timedelta(hours=number), START + timedelta(hours=number + 1))


def validation(number: int, *, failed: tuple[str, ...] = (), rows: int = 40) -> Validation:
    values: dict[str, Any] = {
        "window": str(hour(number)), "success": not failed, "rows": rows, "quarantined": 0,
        "failed": list(failed), "warned": [], "passed_over": {}, "expectations": [],
        "compared_with": {"champion": "7", "time_ranges": 0}, "report": "why.html",
    }  # fmt: skip
    return Validation(**values)


@pytest.fixture
def settings(offline_settings: Settings) -> Settings:
    rows = [post_row(i, START + timedelta(minutes=i), text=f"post {i} " * 40) for i in range(4)]
    put(offline_settings, rows, [])
    return offline_settings


def look(settings: Settings, number: int, *failed: str, rows: int = 40) -> None:
    found = validation(number, failed=failed, rows=rows)
    alert_on_validation(found, hour(number), settings, at=hour(number).end)


def test_blocked_hours_open_one_alert_with_examples_and_three_good_ones_close_it(
    settings: Settings,
) -> None:
    look(settings, 0, "volume: as many posts as in other hours")
    look(settings, 1, "duplicates: few")
    (kept,) = kept_alerts(settings)
    alert = kept.opened
    assert (alert.kind, alert.subject, alert.reference, alert.report) == (
        "validation", "posts", "7", "why.html",
    )  # fmt: skip
    assert alert.summary.startswith("40 posts are blocked and train no model: volume")
    assert [len(one.text) <= 120 for one in alert.examples] == [True] * 3
    for number in (2, 3):
        look(settings, number)
    assert kept_alerts(settings)[0].closed is None
    look(settings, 4)
    (kept,) = kept_alerts(settings)
    assert kept.closed is not None


def test_an_hour_without_posts_says_nothing(settings: Settings) -> None:
    look(settings, 0, "rows: at least one row", rows=0)
    assert kept_alerts(settings) == []
