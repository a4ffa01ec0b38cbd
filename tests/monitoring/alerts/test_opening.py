"""An alert is open once for a kind and subject, and what is kept of it says everything."""

from datetime import UTC, datetime, timedelta

import pytest

from covla.errors import CovlaError, PostError
from covla.schemas.alert import Example
from covla.settings import Settings
from monitoring.alerts import close_alert, open_alert
from monitoring.alerts.store import RetrainNote, add_retrain, kept_alerts, read

AT = datetime(2026, 5, 2, 0, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = "2026-05-01T00:00:00Z/2026-05-02T00:00:00Z"


def test_it_opens_once_and_closes_once(offline_settings: Settings) -> None:
    what = {"kind": "release", "subject": "7"}
    opened = open_alert(offline_settings, **what, summary="taken back", at=AT)
    assert opened is not None
    assert (opened.state, opened.since, opened.created_at) == ("open", AT, AT)
    assert open_alert(offline_settings, **what, summary="again", at=AT + HOUR) is None
    closed = close_alert(offline_settings, **what, summary="8 serves", at=AT + HOUR)
    assert closed is not None
    assert (closed.state, closed.alert_id, closed.since) == ("closed", opened.alert_id, AT)
    assert closed.summary == "8 serves"
    assert close_alert(offline_settings, **what, summary="8 serves", at=AT + HOUR) is None
    (kept,) = kept_alerts(offline_settings)
    assert (kept.opened, kept.closed) == (opened, closed)


def test_a_run_that_is_repeated_after_the_end_opens_nothing(offline_settings: Settings) -> None:
    def again() -> object:
        return open_alert(
            offline_settings, kind="validation", subject="posts", summary="bad", at=AT, window=DAY
        )

    assert again()
    close_alert(offline_settings, kind="validation", subject="posts", summary="good", at=AT)
    assert again() is None


def test_kinds_and_subjects_do_not_meet(offline_settings: Settings) -> None:
    for kind in ("release", "task"):
        for subject in ("7", "8"):
            assert open_alert(offline_settings, kind=kind, subject=subject, summary="x", at=AT)
    close_alert(offline_settings, kind="task", subject="7", summary="x", at=AT)
    closed = [one.opened for one in kept_alerts(offline_settings) if one.closed]
    assert [(one.kind, one.subject) for one in closed] == [("task", "7")]


def test_it_says_since_when_how_sure_what_and_where(offline_settings: Settings) -> None:
    settings = offline_settings.model_copy(update={"reports_url": "https://reports/"})
    report = settings.reports / "drift-1" / "report.html"
    opened = open_alert(
        settings,
        kind="drift",
        subject="image",
        summary="image\n drifted " + "x" * 2000,
        at=AT,
        confidence="p = 0.001",
        window=DAY,
        examples=[Example(post_id=str(i), text="hi") for i in range(5)],
        report=str(report),
    )
    assert opened is not None
    assert opened.since == datetime(2026, 5, 1, tzinfo=UTC)
    assert (opened.window, opened.confidence) == (DAY, "p = 0.001")
    assert [one.post_id for one in opened.examples] == ["0", "1", "2"]
    assert opened.report == "https://reports/drift-1/report.html"
    assert opened.summary.startswith("image drifted xxx")
    assert len(opened.summary) == 1000


def test_what_is_no_alert_is_refused_and_leaves_nothing(offline_settings: Settings) -> None:
    with pytest.raises(PostError, match="subject: "):
        open_alert(offline_settings, kind="task", subject="", summary="x", at=AT)
    assert kept_alerts(offline_settings) == []


def test_the_runs_of_a_retrain_are_kept_beside_the_alert(offline_settings: Settings) -> None:
    opened = open_alert(offline_settings, kind="drift", subject="image", summary="x", at=AT)
    assert opened is not None
    note = RetrainNote("retrain_covla/a", AT, False, "cooldown until ...")
    for one in (note, note, RetrainNote("retrain_covla/b", AT, True, "drift")):
        assert add_retrain(offline_settings, opened.alert_id, one)
    kept = read(offline_settings, opened.alert_id)
    assert kept is not None
    assert [one.run_id for one in kept.retrains] == ["retrain_covla/a", "retrain_covla/b"]
    assert not add_retrain(offline_settings, "f" * 32, note)


def test_a_kept_alert_that_is_broken_is_named(offline_settings: Settings) -> None:
    open_alert(offline_settings, kind="drift", subject="image", summary="x", at=AT)
    (path,) = (offline_settings.state / "alerts").glob("*.json")
    path.write_text("{")
    with pytest.raises(CovlaError, match=f"cannot read {path}"):
        open_alert(offline_settings, kind="drift", subject="text", summary="x", at=AT)
