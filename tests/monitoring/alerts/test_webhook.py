"""The webhook against a real server that answers, fails, hangs or is away."""

import json
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from covla.errors import ServiceUnavailable
from covla.schemas.alert import Alert, read_alert
from covla.settings import Settings
from monitoring.alerts import webhook as module
from monitoring.alerts.webhook import slack_message, webhook_sender
from services.stack import ports
from tests.monitoring.conftest import Webhook

AT = datetime(2026, 5, 2, 0, 10, tzinfo=UTC)


def alert(**more: object) -> Alert:
    value = {
        "alert_id": "0" * 32,
        "kind": "drift",
        "subject": "image",
        "state": "open",
        "summary": "image drifted",
        "since": AT,
        "created_at": AT,
    }
    return Alert.from_dict(value | more)


def post(settings: Settings, sent: Alert) -> None:
    with webhook_sender(settings) as sender:
        sender.send(sent)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS", 0.2)
    monkeypatch.setattr(module, "wait_exponential", lambda *_, **__: lambda _: 0)


def test_the_plain_form_is_the_alert(webhook: Webhook, offline_settings: Settings) -> None:
    post(webhook.settings(offline_settings), alert())
    assert [read_alert(json.dumps(body).encode()) for body in webhook.bodies] == [alert()]


def test_slack_gets_a_text_of_everything_in_it_escaped(
    webhook: Webhook, offline_settings: Settings
) -> None:
    examples = [{"post_id": "p-1", "text": "<!channel> fish & chips <https://evil|here>"}]
    sent = alert(
        confidence="p = 1e-05",
        examples=examples,
        report="https://reports/drift/report.html?a=1&b=2",
    )
    post(webhook.settings(offline_settings, webhook_form="slack"), sent)
    (body,) = webhook.bodies
    assert body["text"].splitlines() == [
        "*OPEN Drift: image*",
        "image drifted",
        "since 2026-05-02 00:10 UTC",
        "p = 1e-05",
        "> p-1: &lt;!channel&gt; fish &amp; chips &lt;https://evil|here&gt;",
        "<https://reports/drift/report.html?a=1&amp;b=2|report>",
        "alert " + "0" * 32,
    ]
    assert body["unfurl_links"] is body["unfurl_media"] is False


def test_a_report_that_is_no_address_is_text() -> None:
    for report in ("/state/<b>/report.html", "https://a|b"):
        text = slack_message(alert(report=report))["text"]
        assert "report: " in text
        assert "|report>" not in text


@pytest.mark.usefixtures("quick")
def test_what_may_pass_is_tried_again_and_no_more_than_three_times(
    webhook: Webhook, offline_settings: Settings
) -> None:
    settings = webhook.settings(offline_settings)
    webhook.answers = [500, 429]
    post(settings, alert())
    assert len(webhook.bodies) == 3
    webhook.answers = [500, 503, 500, 500]
    with pytest.raises(ServiceUnavailable, match="the webhook answered 500"):
        post(settings, alert())
    assert len(webhook.bodies) == 6


@pytest.mark.parametrize("status", [301, 400, 404])
def test_an_address_that_is_wrong_is_not_tried_again(
    webhook: Webhook, offline_settings: Settings, status: int
) -> None:
    webhook.answers = [status]
    with pytest.raises(ServiceUnavailable, match=f"answered {status}. Check COVLA_WEBHOOK_URL"):
        post(webhook.settings(offline_settings), alert())
    assert len(webhook.bodies) == 1


@pytest.mark.usefixtures("quick")
def test_a_webhook_that_hangs_or_is_away_is_given_up_without_its_address(
    webhook: Webhook, offline_settings: Settings
) -> None:
    webhook.hangs.set()
    with pytest.raises(ServiceUnavailable, match="gave no answer in") as hung:
        post(webhook.settings(offline_settings), alert())
    assert len(webhook.bodies) == 3
    nowhere = SecretStr(f"http://127.0.0.1:{ports.any_free()}/s3cret")
    with pytest.raises(ServiceUnavailable, match="cannot be reached") as away:
        post(offline_settings.model_copy(update={"webhook_url": nowhere}), alert())
    assert "s3cret" not in f"{hung.value} {away.value}"


def test_a_webhook_that_is_set_no_more_is_a_clear_line(offline_settings: Settings) -> None:
    with pytest.raises(ServiceUnavailable, match="no webhook is set. Set COVLA_WEBHOOK_URL"):
        post(offline_settings, alert())
