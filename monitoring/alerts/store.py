"""`STATE/alerts`: one file an alert, with what of it is still to be sent and what came of it.

The file is the outbox too: an alert and what is to be sent of it are written in one step, so that
nothing is lost wherever a process ends.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Literal

import orjson
from filelock import FileLock

from covla.files import read_dataclass, write_bytes_aside
from covla.schemas.alert import Alert
from covla.settings import Settings

Channel = Literal["topic", "webhook"]


@dataclass(frozen=True)
class Delivery:
    """What is still to be sent of an alert, and where."""

    state: Literal["open", "closed"]
    channel: Channel


@dataclass(frozen=True)
class RetrainNote:
    """What a run of the retrain that an alert started decided, and why."""

    run_id: str
    at: datetime
    due: bool
    why: str


@dataclass(frozen=True)
class KeptAlert:
    """An alert as it is kept."""

    opened: Alert
    closed: Alert | None
    unsent: list[Delivery]
    retrains: list[RetrainNote]

    @property
    def last(self) -> Alert:
        """Its newest record."""
        return self.closed or self.opened

    def record(self, delivery: Delivery) -> Alert:
        """What a delivery sends."""
        return self.opened if delivery.state == "open" or self.closed is None else self.closed


def folder_of(settings: Settings) -> Path:
    """`STATE/alerts`, which is made where it is missing."""
    folder = settings.state.absolute() / "alerts"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def locked(settings: Settings) -> Iterator[None]:
    """While one process reads and changes what is kept."""
    with FileLock(folder_of(settings) / ".lock"):
        yield


def write(settings: Settings, kept: KeptAlert) -> None:
    """Keep an alert in place of what was kept of it."""
    value = asdict(kept) | {
        "opened": kept.opened.model_dump(mode="json"),
        "closed": kept.closed and kept.closed.model_dump(mode="json"),
    }
    path = folder_of(settings) / f"{kept.opened.alert_id}.json"
    write_bytes_aside(path, orjson.dumps(value, option=orjson.OPT_INDENT_2))


def read(settings: Settings, alert_id: str) -> KeptAlert | None:
    """A kept alert, or None where there is none of this id.

    Raises:
        CovlaError: it cannot be read.
    """
    path = folder_of(settings) / f"{alert_id}.json"
    return read_dataclass(KeptAlert, path) if path.is_file() else None


def since_of(settings: Settings, alert_id: str) -> datetime | None:
    """When what an alert is about began, or None where none of this id is kept.

    Raises:
        CovlaError: it cannot be read.
    """
    kept = read(settings, alert_id)
    return None if kept is None else kept.opened.since


def kept_alerts(settings: Settings) -> list[KeptAlert]:
    """All alerts, in the order in which they opened.

    Raises:
        CovlaError: one cannot be read.
    """
    folder = settings.state.absolute() / "alerts"
    found = [read_dataclass(KeptAlert, path) for path in folder.glob("*.json")]
    return sorted(found, key=lambda one: (one.opened.created_at, one.opened.alert_id))


def open_one(settings: Settings, kind: str, subject: str) -> KeptAlert | None:
    """The open alert of a kind and subject."""
    wanted = (kind, subject)
    open_ones = (one for one in kept_alerts(settings) if one.closed is None)
    return next((one for one in open_ones if (one.opened.kind, one.opened.subject) == wanted), None)


def add_retrain(settings: Settings, alert_id: str, note: RetrainNote) -> bool:
    """Write beside an alert what a run decided; the same run once.

    Returns:
        Whether the alert is kept here: another state folder may have sent it.
    """
    with locked(settings):
        kept = read(settings, alert_id)
        if kept is None:
            return False
        if all(one.run_id != note.run_id for one in kept.retrains):
            write(settings, replace(kept, retrains=[*kept.retrains, note]))
        return True
