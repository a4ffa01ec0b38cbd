"""What validation says of a window, and what training then sees."""

import json
from pathlib import Path

import pyarrow as pa
import pytest

from covla.model.encoders import Encoders
from covla.settings import Settings
from covla.window import Window
from features.expectations import validate
from features.lake import Lake
from features.training_set import training_set
from tests.conftest import RunVerb
from tests.features.posts import make_label, make_post, store

pytestmark = pytest.mark.slow
DAY = Window.parse("2026-05-01T00:00:00Z/2026-05-02T00:00:00Z")


@pytest.fixture
def filled(offline_settings: Settings, encoders: Encoders) -> Settings:
    """Forty good posts."""
    posts = [make_post(i, image=i % 2 > 0) for i in range(40)]
    store(offline_settings, encoders, posts, [make_label("p1"), make_label("p2")])
    return offline_settings


def spoil(settings: Settings, column: str, value: object, posts: int) -> None:
    """Overwrite a column of the first `posts` rows in the lake."""
    for path in sorted((settings.lake / "posts").glob("hour=2*/*.parquet")):
        rows = pa.parquet.read_table(path)
        values = rows[column].to_pylist()
        values[:posts] = [value] * posts
        index = rows.schema.get_field_index(column)
        array = pa.array(values, rows.schema.field(column).type)
        pa.parquet.write_table(rows.set_column(index, rows.schema.field(column), array), path)


def test_a_good_window_passes(filled: Settings) -> None:
    verdict = validate(DAY, filled)
    assert verdict["success"], [row for row in verdict["expectations"] if not row["ok"]]
    assert verdict["rows"] == 40
    assert verdict["quarantined"] == 0
    page = Path(verdict["report"])
    assert "passed" in page.read_text()
    assert json.loads(page.with_suffix(".json").read_text())["rows"] == 40


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("text_digit_share", 7.0),
        ("text_embedding", [float("nan")] * 384),
        ("encoder_id", "another"),
    ],
)
def test_a_few_bad_rows_are_put_aside_and_many_fail_the_window(
    filled: Settings, column: str, value: object
) -> None:
    spoil(filled, column, value, 1)
    verdict = validate(DAY, filled)
    assert verdict["success"]
    assert verdict["quarantined"] == 1
    assert len(training_set(DAY, filled)) == 39
    assert "p0" not in set(training_set(DAY, filled)["post_id"])
    assert Lake(filled).read("quarantine", DAY)["post_id"].to_pylist() == ["p0"]

    spoil(filled, column, value, 10)
    verdict = validate(DAY, filled)
    assert not verdict["success"]
    assert [row["unexpected"] for row in verdict["expectations"] if not row["ok"]] == [10]
    assert len(training_set(DAY, filled)) == 30


def test_the_verb_ends_with_4_when_the_window_is_empty(
    offline_settings: Settings, run_verb: RunVerb
) -> None:
    done = run_verb(offline_settings, "validate", "--window", DAY, "--json")
    assert done.returncode == 4
    assert done.json["success"] is False
    assert done.json["rows"] == 0
    assert len(done.stdout.strip().splitlines()) == 1
