"""An alert that is looked for interval by interval: it opens after some in a row that find it,
stays open while it lasts or flaps, and closes after some in a row without.

What each interval found is kept, the first time that it was looked at: a repeat changes nothing. An
interval that comes late, after a newer one, opens nothing.
"""

from datetime import datetime
from typing import Any, Literal, NamedTuple

import orjson

from covla.files import read_object, write_bytes_aside
from covla.schemas.alert import Alert, Kind
from covla.settings import Settings
from covla.time_range import TimeRange
from monitoring.alerts.opening import keep_closed, keep_open
from monitoring.alerts.store import folder_of, locked, open_one

KEPT = 1_000  # intervals of a subject; hourly ones of six weeks
Found = dict[TimeRange, bool]


class Limits(NamedTuple):
    """How many intervals, one after the other, open an alert and close it."""

    open_after: int | None  # None: these do not open it
    close_after: int


def observe(
    settings: Settings,
    *,
    kind: Kind,
    subject: str,
    window: TimeRange,
    found: bool,
    open_after: int | None,
    at: datetime,
    summary: str,
    **more: Any,
) -> Alert | None:
    """Take in what an interval found; opens, keeps or closes the alert of a subject. What changed
    is kept, for `send_unsent` to send.

    Args:
        settings: the state folder, and `alert_close_after`.
        kind, subject, summary: as those of `open_alert`; when it closes, the summary is its own.
        window: the interval.
        found: whether it was found there.
        open_after: intervals in a row that found it, this one the last, that open the alert;
            1: this one does, None: it opens none and counts for the next ones.
        at: the time that the interval's run stands for.
        more: what else `open_alert` takes.

    Returns:
        What was opened or closed by it, or None.

    Raises:
        CovlaError: what is kept cannot be read.
    """
    limits = Limits(open_after, settings.alert_close_after)
    with locked(settings):
        path = folder_of(settings) / "intervals" / f"{kind}-{subject}.json"
        kept = _read(path) if path.is_file() else {}
        is_open = open_one(settings, kind, subject) is not None
        change = decide(kept, window, found, limits, is_open=is_open)
        alert = None
        if change == "open":
            names = {"kind": kind, "subject": subject, "summary": summary}
            alert = keep_open(settings, **names, at=at, window=window, **more)  # type: ignore[arg-type]
        elif change == "close":
            text = f"not found in {limits.close_after} time ranges, one after the other"
            alert = keep_closed(settings, kind=kind, subject=subject, at=at, summary=text)
        # Last: a process that ends before it sees the alert open at its next try.
        if window not in kept:
            newest = sorted((kept | {window: found}).items(), key=lambda one: _order(one[0]))
            value = {str(span): was for span, was in newest[-KEPT:]}
            write_bytes_aside(path, orjson.dumps(value, option=orjson.OPT_INDENT_2))
    return alert


def decide(
    kept: Found, window: TimeRange, found: bool, limits: Limits, *, is_open: bool
) -> Literal["open", "close"] | None:
    """What an interval changes, given what was kept of the others."""
    if window in kept:
        return None
    newest = all(_order(window) > _order(other) for other in kept)
    count = limits.close_after if is_open else limits.open_after
    if count is None or (not is_open and not newest):
        return None
    last = sorted([*kept, window], key=_order)[-count:]
    if len(last) < count or any((kept | {window: found})[span] == is_open for span in last):
        return None
    return "close" if is_open else "open"


def _order(span: TimeRange) -> tuple[datetime, datetime]:
    return span.end, span.start


def _read(path: Any) -> Found:
    return {TimeRange.parse(text): bool(was) for text, was in read_object(path).items()}
