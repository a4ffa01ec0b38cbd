"""One bound for every time on the wire, and RFC 3339 alone."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from covla.errors import PostError
from covla.schemas.label import parse_label
from covla.schemas.post import parse_post
from covla.settings import Settings
from covla.times import check_time, latest_time


def _post(at: Any) -> bytes:
    return orjson.dumps({"post_id": "a", "text": "x", "created_at": at})


def _label(at: Any) -> bytes:
    return orjson.dumps({"post_id": "a", "label": "home", "labelled_at": at})


@pytest.mark.parametrize(
    "at",
    [
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "1600-01-01T00:00:00Z",
        "1999-12-31T23:59:59Z",
        "2099-01-01T00:00:00Z",
        "2300-01-01T00:00:00Z",
        "9999-12-31T23:59:59-12:00",
    ],
)
def test_a_time_out_of_range_is_refused_by_field(at: str, offline_settings: Settings) -> None:
    for parse, raw, field in (
        (parse_post, _post(at), "created_at"),
        (parse_label, _label(at), "labelled_at"),
    ):
        with pytest.raises(PostError, match=r"COVLA_(EARLIEST_TIME|FUTURE_MINUTES)") as error:
            parse(raw, offline_settings)
        assert (error.value.field, error.value.code) == (field, "out_of_range")


@pytest.mark.parametrize(
    "at",
    ["20260501", "2026-05-01", "1777636800", "2026-05-01T12", "2026-W18-5T12:00:00Z",
     "2026-05-01T12:00:00", "\uff12026-05-01T12:00:00Z", " 2026-05-01T12:00:00Z", "", 1777636800,
     1.5, True, None, [], {}],
)  # fmt: skip
def test_only_rfc_3339_with_a_zone_is_a_time(at: Any, offline_settings: Settings) -> None:
    with pytest.raises(PostError) as error:
        parse_post(_post(at), offline_settings)
    assert error.value.field == "created_at"


@pytest.mark.parametrize(
    "at",
    ["2000-01-01T00:00:00Z", "2026-05-01t12:00:00z", "2026-05-01 12:00:00+05:30",
     "2026-05-01T12:00:00.123456789-00:00"],
)  # fmt: skip
def test_every_form_of_rfc_3339_is_read(at: str, offline_settings: Settings) -> None:
    assert parse_post(_post(at), offline_settings).created_at.tzinfo is not None


def test_a_clock_that_is_a_little_ahead_is_fine(offline_settings: Settings) -> None:
    soon = datetime.now(UTC) + timedelta(minutes=14)
    check_time("created_at", soon, offline_settings)
    strict = offline_settings.model_copy(update={"future_minutes": 0})
    with pytest.raises(PostError, match="more than 0 minutes from now"):
        check_time("created_at", soon, strict)
    assert latest_time(strict) < soon < latest_time(offline_settings)


@given(
    st.datetimes(),
    st.integers(-24 * 60 + 1, 24 * 60 - 1),
)
def test_any_time_of_any_offset_is_in_range_or_refused(at: datetime, offset: int) -> None:
    settings = Settings()
    aware = at.replace(tzinfo=timezone(timedelta(minutes=offset)))
    try:
        check_time("t", aware, settings)
    except PostError as error:
        assert error.code == "out_of_range"
    else:
        assert settings.earliest_time <= aware <= latest_time(settings)
