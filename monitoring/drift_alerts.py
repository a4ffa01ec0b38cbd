"""From a drift report to alerts: one a modality, by the intervals that were looked at."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from covla.schemas.alert import Example
from covla.settings import Settings
from covla.time_range import TimeRange
from covla.times import now
from monitoring.alerts.hysteresis import observe
from monitoring.alerts.outbox import send_unsent
from monitoring.alerts.store import open_one
from monitoring.drift import ALPHA, DriftReport


class DriftAlert(NamedTuple):
    """Of the modality that drifted: its open alert, and whether this run opened it."""

    alert_id: str | None
    opened: bool


def alert_on(
    report: DriftReport,
    window: TimeRange,
    settings: Settings,
    *,
    examples: Callable[[str], Sequence[Example]],
    at: datetime | None = None,
    run: str | None = None,
) -> DriftAlert:
    """`observe_drift`, then send what is unsent. Arguments and errors are its."""
    alert = observe_drift(report, window, settings, examples=examples, at=at, run=run)
    send_unsent(settings)  # what earlier runs could not send, too
    return alert


def observe_drift(
    report: DriftReport,
    window: TimeRange,
    settings: Settings,
    *,
    examples: Callable[[str], Sequence[Example]],
    at: datetime | None = None,
    run: str | None = None,
) -> DriftAlert:
    """Open, keep or close the alerts of all modalities that were tested.

    One that drifted beside the named one opens none, keeps open what is open, and counts as a time
    range with drift.

    Args:
        report: of the time range.
        window: the time range.
        settings: the state folder, broker and webhook.
        examples: of a modality; called when an alert may open.
        at: the time that the run stands for; default: now.
        run: DAG/RUN of Airflow that acts on the drift by itself.

    Raises:
        CovlaError: a kept alert cannot be read.
    """
    opened = False
    for modality, result in report.modalities.items():
        if not result.tested:
            continue
        named = modality == report.drift_modality
        may_open = named and open_one(settings, "drift", modality) is None
        alert = observe(
            settings,
            kind="drift",
            subject=modality,
            window=window,
            found=result.drift,
            open_after=open_after(result.p_value, settings) if named else None,
            at=at or now(),
            summary=_summary(report, modality),
            confidence=_confidence(result.p_value),
            reference=report.reference,
            scores=report.scores,
            examples=examples(modality) if may_open else (),
            report=report.report,
            run=run,
        )
        opened |= named and alert is not None
    if report.drift_modality is None:
        return DriftAlert(None, False)
    kept = open_one(settings, "drift", report.drift_modality)
    return DriftAlert(kept.opened.alert_id if kept else None, opened)


def open_after(p_value: float | None, settings: Settings) -> int:
    """How many time ranges in a row with drift open an alert, the last with this p-value.

    One is enough where chance alone makes it as rare as `alert_open_after` of them at ALPHA each.
    With 2 that is one in 10,000: of hourly ones less than one a year.
    """
    needed = settings.alert_open_after
    return 1 if p_value is not None and p_value < ALPHA**needed else needed


def _summary(report: DriftReport, modality: str) -> str:
    columns = report.modalities[modality].columns
    named = ", ".join(columns[:3]) or "no column"
    more = f" and {len(columns) - 3} more" if len(columns) > 3 else ""
    return (
        f"{modality} drifted: {named}{more} of {report.rows['window']} posts differ from the "
        f"training posts of model {report.reference}"
    )


def _confidence(p_value: float | None) -> str | None:
    if p_value is None:
        return None
    return (
        f"p = {p_value:.2g}, corrected for the number of tests; "
        f"by chance alone p is below {ALPHA:g} in one time range of {1 / ALPHA:.0f}"
    )
