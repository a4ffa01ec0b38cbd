"""A data window `[start, end)`: what a step works on, named, so that a second run repeats it."""

from datetime import UTC, datetime
from typing import NamedTuple

from covla.errors import CovlaError


class Window(NamedTuple):
    """Half-open, in UTC, by event time (`created_at`)."""

    start: datetime
    end: datetime

    @classmethod
    def parse(cls, text: str) -> "Window":
        """`START/END`, each RFC 3339, as in ISO 8601 intervals.

        Raises:
            CovlaError: not two times with a zone, or the end is not after the start.
        """
        try:
            start, end = (datetime.fromisoformat(part) for part in text.split("/"))
        except ValueError:
            raise CovlaError(
                f"window: {text!r} is not START/END",
                hint="Write 2026-05-01T00:00:00Z/2026-05-02T00:00:00Z",
            ) from None
        if start.tzinfo is None or end.tzinfo is None:
            raise CovlaError(f"window: {text!r} has no time zone", hint="Add Z for UTC")
        if start >= end:
            raise CovlaError(f"window: the end of {text!r} is not after its start")
        return cls(start.astimezone(UTC), end.astimezone(UTC))

    def __str__(self) -> str:
        start, end = (t.isoformat(timespec="microseconds").replace("+00:00", "Z") for t in self)
        return f"{start}/{end}"

    @property
    def slug(self) -> str:
        """For file and folder names: 20260501T000000-20260502T000000."""
        return "-".join(t.strftime("%Y%m%dT%H%M%S") for t in self)
