"""What a drift report makes of the alerts."""

from datetime import UTC, datetime, timedelta

from covla.schemas.alert import Example
from covla.settings import Settings
from covla.time_range import TimeRange
from monitoring.alerts.store import kept_alerts
from monitoring.drift import DriftReport, ModalityDrift
from monitoring.drift_alerts import DriftAlert, alert_on, open_after
from tests.monitoring.conftest import Webhook

START = datetime(2026, 5, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def look(
    settings: Settings, n: int, named: str | None, *drifted: str, p_value: float = 1e-5
) -> DriftAlert:
    """At hour `n`, in which `drifted` drifted beside `named`; `missing` is never tested."""
    window = TimeRange(START + n * HOUR, START + (n + 1) * HOUR)
    modalities = {
        name: ModalityDrift(name in (named, *drifted), 5.0, p_value, [f"{name}_length"], 3)
        for name in ("text", "image", "agreement")
    }
    modalities["missing"] = ModalityDrift(False, None, None, [], 0, "not tested")
    report = DriftReport(
        window=str(window),
        reference="7",
        drift=named is not None,
        drift_modality=named,
        alpha=0.01,
        rows={"window": 120, "reference": 600},
        scores={"text": 5.0},
        modalities=modalities,
        untested={},
        noise=[],
        report="report.html",
    )
    shown = [Example(post_id="p", text="hi")]
    at = window.end + timedelta(minutes=10)
    return alert_on(report, window, settings, examples=lambda _: shown, at=at, run="a/b")


def test_a_drift_that_lasts_is_one_alert_and_closes_after_three_hours_without(
    offline_settings: Settings,
) -> None:
    found = [look(offline_settings, n, "image") for n in range(4)]
    assert [one.opened for one in found] == [True, False, False, False]
    assert len({one.alert_id for one in found}) == 1
    for n in range(4, 7):
        assert look(offline_settings, n, None) == DriftAlert(None, False)
    (kept,) = kept_alerts(offline_settings)
    assert kept.closed is not None
    assert kept.closed.summary == "not found in 3 time ranges, one after the other"
    assert kept.closed.created_at == START + 7 * HOUR + timedelta(minutes=10)


def test_it_says_what_drifted_how_sure_it_is_and_shows_a_post(offline_settings: Settings) -> None:
    look(offline_settings, 0, "image")
    (kept,) = kept_alerts(offline_settings)
    alert = kept.opened
    assert (alert.kind, alert.subject, alert.reference, alert.run) == ("drift", "image", "7", "a/b")
    assert alert.summary == (
        "image drifted: image_length of 120 posts differ from the training posts of model 7"
    )
    assert alert.confidence is not None
    assert alert.confidence.startswith("p = 1e-05, corrected for the number of tests; by chance")
    assert alert.confidence.endswith("below 0.01 in one time range of 100")
    assert (alert.since, alert.report) == (START, "report.html")
    assert [one.post_id for one in alert.examples] == ["p"]


def test_what_drifts_beside_the_named_one_keeps_open_and_opens_nothing(
    offline_settings: Settings,
) -> None:
    look(offline_settings, 0, "image")
    for n in range(1, 6):
        assert look(offline_settings, n, "text", "image", "agreement").opened == (n == 1)
    open_ones = [one.opened.subject for one in kept_alerts(offline_settings) if not one.closed]
    assert open_ones == ["image", "text"]


def test_weak_drift_opens_in_the_second_hour_in_a_row(offline_settings: Settings) -> None:
    weak = {"p_value": 5e-3}
    assert look(offline_settings, 0, "image", **weak) == DriftAlert(None, False)
    look(offline_settings, 1, None)
    assert look(offline_settings, 2, "image", **weak) == DriftAlert(None, False)
    found = look(offline_settings, 3, "image", **weak)
    assert found.opened
    (kept,) = kept_alerts(offline_settings)
    assert kept.opened.alert_id == found.alert_id


def test_an_hour_beside_another_modality_counts_for_the_next_one(
    offline_settings: Settings,
) -> None:
    weak = {"p_value": 5e-3}
    assert not look(offline_settings, 0, "text", "image", **weak).opened
    assert look(offline_settings, 1, "image", **weak).opened


def test_one_hour_is_enough_below_what_two_in_a_row_are_by_chance() -> None:
    for after, enough, not_enough in ((1, 9e-3, None), (2, 9e-5, 2e-4), (3, 9e-7, 2e-6)):
        settings = Settings(alert_open_after=after)
        assert open_after(enough, settings) == 1
        assert open_after(not_enough, settings) == after


def test_a_late_hour_has_no_alert_and_a_repeated_one_its_own(offline_settings: Settings) -> None:
    look(offline_settings, 5, None)
    assert look(offline_settings, 3, "image") == DriftAlert(None, False)
    first = look(offline_settings, 6, "image")
    assert look(offline_settings, 6, "image") == DriftAlert(first.alert_id, False)


def test_each_run_sends_what_earlier_ones_could_not(
    offline_settings: Settings, webhook: Webhook
) -> None:
    settings = webhook.settings(offline_settings)
    webhook.answers = [404]
    look(settings, 0, "image")
    look(settings, 1, "image")
    look(settings, 2, "image")
    assert [body["state"] for body in webhook.bodies] == ["open", "open"]
