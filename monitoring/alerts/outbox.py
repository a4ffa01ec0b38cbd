"""Sends what is kept and unsent, oldest first, to the topic and to the webhook.

At least once: a process may end after a send and before it is written down. A repeat has the same
alert_id and state, by which a receiver drops it.
"""

import logging
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Protocol, get_args

from filelock import FileLock, Timeout

from covla.errors import CovlaError
from covla.schemas.alert import Alert
from covla.settings import Settings
from monitoring.alerts.store import Channel, Delivery, folder_of, kept_alerts, locked, read, write

WAIT = 120  # seconds for another process that sends
log = logging.getLogger(__name__)


class Sender(Protocol):
    """One channel, connected."""

    def send(self, alert: Alert) -> None:
        """Send one alert, or raise a CovlaError."""


def _sender(channel: Channel, settings: Settings) -> AbstractContextManager[Sender]:
    # Imported where something is sent: `covla alerts close` runs after each task of Airflow.
    if channel == "topic":
        from monitoring.alerts.topic import topic_sender

        return topic_sender(settings)
    from monitoring.alerts.webhook import webhook_sender

    return webhook_sender(settings)


@dataclass(frozen=True)
class Sent:
    """What a try to send all that is unsent came to."""

    sent: int = 0
    unsent: int = 0
    why: dict[Channel, str] = field(default_factory=dict)  # channel -> why it did not take one


def unsent(settings: Settings) -> list[tuple[str, Delivery]]:
    """Alert id and delivery of all that is unsent, in the order in which the alerts opened."""
    return [
        (kept.opened.alert_id, delivery)
        for kept in kept_alerts(settings)
        for delivery in kept.unsent
    ]


def send_unsent(settings: Settings) -> Sent:
    """Send what is unsent. What cannot be sent stays, and a line of the log says why.

    A channel that does not take one alert is not tried with the next ones, so the time that this
    takes is bounded however many wait.

    Raises:
        CovlaError: a kept alert cannot be read.
    """
    sent = 0
    why: dict[Channel, str] = {}
    try:
        with FileLock(folder_of(settings) / ".sending", timeout=WAIT):
            waiting = unsent(settings)
            for channel in get_args(Channel):
                mine = [one for one in waiting if one[1].channel == channel]
                if mine:
                    count, reason = _send_all(settings, mine, _sender(channel, settings))
                    sent += count
                    if reason:
                        why[channel] = reason
    except Timeout:
        why["topic"] = "another process is sending"
    left = len(unsent(settings))
    for channel, reason in why.items():
        log.warning("alerts: kept for later, the %s does not take them: %s", channel, reason)
    return Sent(sent, left, why)


def _send_all(
    settings: Settings,
    deliveries: list[tuple[str, Delivery]],
    sender: AbstractContextManager[Sender],
) -> tuple[int, str | None]:
    count = 0
    try:
        with sender as channel:
            for alert_id, delivery in deliveries:
                kept = read(settings, alert_id)
                if kept is None:
                    continue  # someone removed the file
                channel.send(kept.record(delivery))
                _mark_sent(settings, alert_id, delivery)
                count += 1
    except CovlaError as error:
        return count, str(error)
    return count, None


def _mark_sent(settings: Settings, alert_id: str, delivery: Delivery) -> None:
    with locked(settings):
        kept = read(settings, alert_id)
        if kept is not None:
            left = [one for one in kept.unsent if one != delivery]
            write(settings, replace(kept, unsent=left))
