"""Open and close an alert: kept first, then sent."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from covla.schemas.alert import EXAMPLES, SUMMARY, Alert, Example, Kind
from covla.settings import Settings
from covla.time_range import TimeRange
from monitoring.alerts.outbox import send_unsent
from monitoring.alerts.store import Delivery, KeptAlert, locked, open_one, read, write


def open_alert(
    settings: Settings,
    *,
    kind: Kind,
    subject: str,
    summary: str,
    at: datetime,
    confidence: str | None = None,
    window: TimeRange | str | None = None,
    reference: str | None = None,
    scores: Mapping[str, float | None] | None = None,
    examples: Sequence[Example] = (),
    report: str | None = None,
    run: str | None = None,
) -> Alert | None:
    """Open an alert and send it; where it cannot be sent it is kept and sent later.

    Args:
        settings: the state folder, the broker and the webhook.
        kind: what sort of thing happened.
        subject: a modality, a model version, or DAG.TASK; one alert a kind and subject is open.
        summary: what happened, in one line; cut at 1,000 characters.
        at: the time that it stands for.
        confidence: how sure it is, a p-value or the like in words.
        window: the time range that it is about.
        reference: the model version that was compared with.
        scores: by modality.
        examples: posts that show it; the first three are kept.
        report: path or address of a report; a path under STATE/reports becomes an address where
            COVLA_REPORTS_URL is set.
        run: DAG/RUN of Airflow that raises it, and acts on it by itself.

    Returns:
        The alert, or None where one of the same kind and subject is open, or was for the same
        time range or time.

    Raises:
        CovlaError: a kept alert cannot be read.
        ValueError: a field is not what the contract says.
    """
    with locked(settings):
        alert = keep_open(
            settings,
            kind=kind,
            subject=subject,
            summary=summary,
            at=at,
            confidence=confidence,
            window=window,
            reference=reference,
            scores=scores,
            examples=examples,
            report=report,
            run=run,
        )
    if alert is not None:
        send_unsent(settings)
    return alert


def close_alert(
    settings: Settings, *, kind: Kind, subject: str, at: datetime, summary: str
) -> Alert | None:
    """Close the open alert of a kind and subject, and send that; as `open_alert`.

    Returns:
        The closing record, or None where none is open.

    Raises:
        CovlaError: a kept alert cannot be read.
    """
    with locked(settings):
        alert = keep_closed(settings, kind=kind, subject=subject, at=at, summary=summary)
    if alert is not None:
        send_unsent(settings)
    return alert


def keep_open(
    settings: Settings,
    *,
    kind: Kind,
    subject: str,
    summary: str,
    at: datetime,
    window: TimeRange | str | None = None,
    scores: Mapping[str, float | None] | None = None,
    examples: Sequence[Example] = (),
    report: str | None = None,
    **more: str | None,
) -> Alert | None:
    """`open_alert` without sending, for who holds the lock of the store."""
    span = None if window is None else str(window)
    key = "\0".join((kind, subject, span or at.isoformat()))
    alert_id = hashlib.sha256(key.encode()).hexdigest()[:32]
    if open_one(settings, kind, subject) or read(settings, alert_id):
        return None
    alert = Alert.from_dict(
        {
            "alert_id": alert_id,
            "kind": kind,
            "subject": subject,
            "state": "open",
            "summary": _line(summary),
            "since": span.partition("/")[0] if span else at,
            "created_at": at,
            "window": span,
            "scores": dict(scores or {}),
            "examples": [one.model_dump() for one in examples[:EXAMPLES]],
            "report": report and _link(report, settings),
            **more,
        }
    )
    write(settings, KeptAlert(alert, None, _deliveries("open", settings), []))
    return alert


def keep_closed(
    settings: Settings, *, kind: Kind, subject: str, at: datetime, summary: str
) -> Alert | None:
    """`close_alert` without sending, for who holds the lock of the store."""
    kept = open_one(settings, kind, subject)
    if kept is None:
        return None
    update = {"state": "closed", "summary": _line(summary), "created_at": at}
    closed = kept.opened.model_copy(update=update)
    unsent = [*kept.unsent, *_deliveries("closed", settings)]
    write(settings, replace(kept, closed=closed, unsent=unsent))
    return closed


def _line(summary: str) -> str:
    return " ".join(summary.split())[:SUMMARY]


def _link(report: str, settings: Settings) -> str:
    root = f"{settings.reports}/"
    if not settings.reports_url or not report.startswith(root):
        return report
    return f"{settings.reports_url.rstrip('/')}/{report.removeprefix(root)}"


def _deliveries(state: str, settings: Settings) -> list[Delivery]:
    channels = ["topic", *(["webhook"] if settings.webhook_url else [])]
    return [Delivery(state, channel) for channel in channels]  # type: ignore[arg-type]
