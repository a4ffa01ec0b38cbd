"""The webhook that reaches people: in Slack's form, or as the plain JSON of the alert."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import orjson
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from covla.errors import ServiceUnavailable
from covla.schemas.alert import Alert
from covla.settings import Settings

TRIES = 3
SECONDS = 5.0  # to connect, and to wait for the answer; each try
_TITLES = {
    "drift": "Drift",
    "release": "A version was taken back",
    "validation": "A time range was blocked",
    "task": "A task failed",
}
# Its lines of information name the whole address, which is a secret.
logging.getLogger("httpx").setLevel(logging.WARNING)


class _TryAgainError(ServiceUnavailable):
    """The webhook did not answer, or answered that it cannot now."""


class WebhookSender:
    """Posts alerts, each with a bounded number of tries."""

    def __init__(self, client: httpx.Client, settings: Settings) -> None:
        assert settings.webhook_url
        self._client = client
        self._url = settings.webhook_url.get_secret_value()
        self._slack = settings.webhook_form == "slack"

    def send(self, alert: Alert) -> None:
        """Post one alert.

        Raises:
            ServiceUnavailable: it is not taken; the address is not in the message.
        """
        body = orjson.dumps(slack_message(alert)) if self._slack else alert.to_json()
        for attempt in Retrying(
            stop=stop_after_attempt(TRIES),
            wait=wait_exponential(0.5, max=4),
            retry=retry_if_exception_type(_TryAgainError),
            reraise=True,
        ):
            with attempt:
                self._post(body)

    def _post(self, body: bytes) -> None:
        headers = {"content-type": "application/json"}
        try:
            # The body of the answer is not read: however long it is, it says nothing to us.
            with self._client.stream("POST", self._url, content=body, headers=headers) as answer:
                status = answer.status_code
        except httpx.TimeoutException:
            raise _TryAgainError(f"the webhook gave no answer in {SECONDS:.0f} s") from None
        except httpx.HTTPError as error:
            raise _TryAgainError(f"the webhook cannot be reached: {type(error).__name__}") from None
        if status == httpx.codes.TOO_MANY_REQUESTS or status >= 500:
            raise _TryAgainError(f"the webhook answered {status}")
        if not 200 <= status < 300:
            raise ServiceUnavailable(
                f"the webhook answered {status}",
                hint="Check COVLA_WEBHOOK_URL and COVLA_WEBHOOK_FORM, then `covla alerts send`",
            )


@contextmanager
def webhook_sender(settings: Settings) -> Iterator[WebhookSender]:
    """One connection for several alerts.

    Raises:
        ServiceUnavailable: an alert is kept for a webhook, and none is set any more.
    """
    if settings.webhook_url is None:
        raise ServiceUnavailable("no webhook is set", hint="Set COVLA_WEBHOOK_URL")
    with httpx.Client(timeout=SECONDS) as client:
        yield WebhookSender(client, settings)


def slack_message(alert: Alert) -> dict[str, Any]:
    """What Slack's incoming webhooks take; with `&`, `<` and `>` escaped no text mentions anyone.

    Source: https://api.slack.com/reference/surfaces/formatting#escaping
    """
    title = f"{'CLOSED' if alert.state == 'closed' else 'OPEN'} {_TITLES[alert.kind]}"
    lines = [f"*{title}: {_escaped(alert.subject)}*", _escaped(alert.summary)]
    lines.append(f"since {alert.since:%Y-%m-%d %H:%M} UTC")
    if alert.confidence:
        lines.append(_escaped(alert.confidence))
    lines += [f"> {_escaped(one.post_id)}: {_escaped(one.text)}" for one in alert.examples]
    if alert.report:
        report = _escaped(alert.report)
        is_link = report.startswith(("http://", "https://")) and "|" not in report
        lines.append(f"<{report}|report>" if is_link else f"report: {report}")
    lines.append(f"alert {alert.alert_id}")
    return {"text": "\n".join(lines), "unfurl_links": False, "unfurl_media": False}


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
