"""The posts of an alert are those that show the drift."""

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from covla.settings import Settings
from covla.time_range import TimeRange
from monitoring.examples import examples
from tests.features.old_rows import post_row, put
from tests.monitoring.rows import rows

START = datetime(2026, 5, 1, tzinfo=UTC)
DAY = TimeRange(START, START + timedelta(days=1))


def shown(frame: pd.DataFrame, column: str | None, settings: Settings) -> list[str]:
    return [one.post_id for one in examples(frame, rows(100, 0), column, DAY, settings)]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("image_blur", 1e6),
        ("text_lang", "tlh"),
        ("missing_text", False),
        ("text_embedding", [100.0] * 24),
    ],
)
def test_the_strangest_posts_are_shown(
    column: str, value: object, offline_settings: Settings
) -> None:
    frame = rows(60, 1)
    frame["has_text"] = True
    name = {"text_lang": "lang", "missing_text": "has_text"}.get(column, column)
    if name == "image_blur" and name not in frame:
        name = column = next(
            c for c in frame if str(c).startswith("image_") and c != "image_embedding"
        )
    frame[name] = frame[name].astype(object)
    for index in (7, 30, 59):
        frame.at[index, name] = value
    found = shown(frame, column, offline_settings)
    assert sorted(found) == ["p-1-30", "p-1-59", "p-1-7"]
    shuffled = frame.sample(frac=1, random_state=0)
    assert shown(shuffled, column, offline_settings) == found


def test_without_a_column_of_the_lake_the_first_ones_are_shown(offline_settings: Settings) -> None:
    for column in (None, "agreement"):
        assert shown(rows(60, 1), column, offline_settings) == ["p-1-0", "p-1-1", "p-1-10"]


def test_texts_are_cut_to_one_line(offline_settings: Settings) -> None:
    stored = [post_row(i, START, text=text) for i, text in enumerate(("a\n b", "x" * 500, ""))]
    put(offline_settings, stored, [])
    frame = rows(3, 1)
    frame["post_id"] = [row["post_id"] for row in stored]
    texts = [one.text for one in examples(frame, frame, None, DAY, offline_settings)]
    assert texts[0] == "a b"
    assert (len(texts[1]), texts[1][-1], texts[2]) == (120, "…", "")
