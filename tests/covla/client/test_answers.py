"""What is read of a response."""

import time
from email.utils import formatdate

import pytest

from covla.client.answers import Response, TryLater


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        ("7", 7, 7),
        (" 0 ", 0, 0),
        (3600, 3000, 3601),
        (-3600, 0, 0),
        ("soon", None, None),
        ("-5", None, None),
        (None, None, None),
    ],
    ids=["seconds", "zero", "in an hour", "an hour ago", "a word", "negative", "none"],
)
def test_retry_after_is_seconds_or_a_date(
    header: str | int | None, least: float | None, most: float | None
) -> None:
    if isinstance(header, int):
        header = formatdate(time.time() + header, usegmt=True)
    headers = {} if header is None else {"retry-after": header}
    with pytest.raises(TryLater) as caught:
        Response("http://x", 503, headers, b"").checked()
    if least is None or most is None:
        assert caught.value.retry_after is None
    else:
        assert caught.value.retry_after is not None
        assert least <= caught.value.retry_after <= most
