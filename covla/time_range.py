"""A data window `[start, end)`: what a step works on, named, so that a second run repeats it."""

from datetime import UTC, datetime
from typing import NamedTuple

from covla.errors import CovlaError

# Of what a person may name: pandas' times end in 2262, and a partition folder has four digits.
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
_EXAMPLE = "2026-05-01T00:00:00Z/2026-05-02T00:00:00Z"


def parse_time(
    name: str,
    text: str,
    *,
    wrong: str | None = None,
    example: str = "2026-05-01T00:00:00Z",
) -> datetime:
    """A time that a person gave in an option, in UTC.

    Args:
        name: of the option, for the message.
        text: RFC 3339 with a zone.
        wrong: what the message says of a text that is no time; default: that it is none.
        example: what the message's hint shows.

    Raises:
        CovlaError: it is no time, has no zone, or is not between 1970 and 2200.
    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        wrong = wrong or f"{text!r} is not an RFC 3339 time"
        raise CovlaError(f"{name}: {wrong}", hint=f"Write {example}") from None
    if time.tzinfo is None:
        raise CovlaError(f"{name}: {text!r} has no time zone", hint="Add Z for UTC")
    if not _FIRST <= time <= _LAST:  # before astimezone(), which overflows at both ends
        raise CovlaError(f"{name}: {text!r} is not between {_FIRST:%Y} and {_LAST:%Y}")
    return time.astimezone(UTC)


class TimeRange(NamedTuple):
    """Half-open, in UTC, by event time (`created_at`)."""

    start: datetime
    end: datetime

    @classmethod
    def parse(cls, text: str) -> "TimeRange":
        """`START/END`, each RFC 3339, as in ISO 8601 intervals.

        Raises:
            CovlaError: not two times with a zone, one that `parse_time` refuses, or the end is not
                after the start.
        """
        parts = text.split("/")
        if len(parts) != 2:
            raise CovlaError(f"window: {text!r} is not START/END", hint=f"Write {_EXAMPLE}")
        start, end = (
            parse_time("window", part, wrong=f"{text!r} is not START/END", example=_EXAMPLE)
            for part in parts
        )
        if start >= end:
            raise CovlaError(f"window: the end of {text!r} is not after its start")
        return cls(start, end)

    def __str__(self) -> str:
        start, end = (t.isoformat(timespec="microseconds").replace("+00:00", "Z") for t in self)
        return f"{start}/{end}"

    @property
    def slug(self) -> str:
        """For file and folder names: 20260501T000000-20260502T000000."""
        return "-".join(t.strftime("%Y%m%dT%H%M%S") for t in self)
