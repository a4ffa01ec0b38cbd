"""The one bound for every time on the wire: from `earliest_time` to some minutes from now."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString

from pydantic_core import PydanticCustomError

from covla.errors import PostError
from covla.settings import Settings

# pydantic reads much more as a time: "20260501" as seconds since 1970, "2026-05-01" as midnight. A
# time without a zone is for it to refuse.
_RFC_3339 = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d{1,12})?([Zz]|[+-]\d{2}:\d{2})?", re.ASCII
)
_EXPECTED: LiteralString = "must be an RFC 3339 text such as 2026-05-01T12:00:00Z"


def rfc_3339(value: Any) -> Any:
    """`value` as it is, if it is RFC 3339 text or a datetime.

    Raises:
        ValueError: it is neither; PydanticCustomError, which is one, for other text.
    """
    if isinstance(value, datetime) or (isinstance(value, str) and _RFC_3339.fullmatch(value)):
        return value
    if isinstance(value, str):
        raise PydanticCustomError("datetime_from_date_parsing", _EXPECTED)
    raise ValueError(_EXPECTED)


def latest_time(settings: Settings) -> datetime:
    """The latest time that a record may have now: clocks of producers run a little ahead."""
    return datetime.now(UTC) + timedelta(minutes=settings.future_minutes)


def check_time(field: str, value: datetime, settings: Settings) -> None:
    """Hold an aware time against the bound, whatever its offset.

    Raises:
        PostError: it is too early ("none" of many languages is the year 1) or in the future.
    """
    # Comparing does not overflow where astimezone() does.
    if value < settings.earliest_time:
        wrong = f"before {settings.earliest_time.isoformat()}, COVLA_EARLIEST_TIME"
    elif value > latest_time(settings):
        wrong = f"more than {settings.future_minutes} minutes from now, COVLA_FUTURE_MINUTES"
    else:
        return
    raise PostError(field, "out_of_range", f"{value.isoformat()} is {wrong}")


def now() -> datetime:
    """The present, aware, in UTC."""
    return datetime.now(UTC)
