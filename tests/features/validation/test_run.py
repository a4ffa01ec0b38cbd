"""What validation says of a window, and what training then sees."""

import json
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from covla.errors import TooFew
from covla.model.encoders import Encoders
from covla.settings import Settings
from covla.time_range import TimeRange
from features.export import export
from features.lake import Lake
from features.source import load_window
from features.training_set import training_set
from features.validation import validate
from tests.conftest import RunCommand
from tests.features.old_rows import post_row, put
from tests.features.posts import make_label, make_post, store

pytestmark = pytest.mark.slow
DAY = TimeRange.parse("2026-05-01T00:00:00Z/2026-05-02T00:00:00Z")

BROKEN = [float("nan")] * 8


@pytest.fixture
def filled(offline_settings: Settings, encoders: Encoders) -> Settings:
    """Forty good posts."""
    texts = [f"coffee and cake with a view of pier {i} #brunch" for i in range(40)]
    posts = [make_post(i, image=i % 2 > 0, text=text) for i, text in enumerate(texts)]
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
    validation = validate(DAY, filled)
    assert validation.success, [row for row in validation.expectations if not row.ok]
    assert validation.rows == 40
    assert validation.quarantined == 0
    page = Path(validation.report)
    assert "passed" in page.read_text()
    assert json.loads(page.with_suffix(".json").read_text())["rows"] == 40


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("text_embedding", BROKEN * 48),
        ("text_embedding", [0.5] * 8),
        ("encoder_id", "another"),
    ],
)
def test_a_few_bad_rows_are_put_aside_and_many_fail_the_window(
    filled: Settings, column: str, value: object
) -> None:
    spoil(filled, column, value, 1)
    validation = validate(DAY, filled)
    assert validation.success
    assert validation.quarantined == 1
    assert len(training_set(DAY, filled)) == 39
    assert "p0" not in set(training_set(DAY, filled)["post_id"])
    assert Lake(filled).read("quarantine", DAY)["post_id"].to_pylist() == ["p0"]

    spoil(filled, column, value, 12)
    validation = validate(DAY, filled)
    assert not validation.success
    assert [row.unexpected for row in validation.expectations if not row.ok] == [12]
    (name,) = [row.name for row in validation.expectations if row.outcome == "blocked"]
    assert [reason.split(":")[0] for reason in validation.failed] == [name]
    frame = training_set(DAY, filled)
    assert frame.empty
    assert frame.attrs["left_out"] == {"quarantined": 12, "blocked": 28}
    assert len(training_set(DAY, filled, everything=True)) == 40


def test_the_command_ends_with_4_when_the_window_is_empty(
    offline_settings: Settings, run_command: RunCommand
) -> None:
    done = run_command(offline_settings, "validate", "--window", DAY, "--json")
    assert done.returncode == 4
    assert done.json["success"] is False
    assert done.json["rows"] == 0
    assert len(done.stdout.strip().splitlines()) == 1


QUIET = TimeRange.parse("2026-05-01T00:00:00Z/2026-05-01T02:00:00Z")


def quiet_hour(settings: Settings, posts: int, **more: object) -> None:
    """A few posts, without encoders."""
    at = QUIET.start
    put(settings, [post_row(i, at + timedelta(minutes=i), **more) for i in range(posts)], [])


def test_one_odd_row_of_twelve_fails_no_hour(offline_settings: Settings) -> None:
    quiet_hour(offline_settings, 12)
    spoil(offline_settings, "text_embedding", BROKEN, 1)
    for _ in range(2):
        validation = validate(QUIET, offline_settings)
        assert (validation.success, validation.quarantined) == (True, 1)
    assert len(training_set(QUIET, offline_settings)) == 11


def test_rows_that_were_put_aside_fail_no_hour_again(offline_settings: Settings) -> None:
    quiet_hour(offline_settings, 12)
    spoil(offline_settings, "text_embedding", BROKEN, 6)
    assert not validate(QUIET, offline_settings).success
    again = validate(QUIET, offline_settings)
    assert (again.success, again.quarantined) == (True, 6)
    spoil(offline_settings, "text_embedding", BROKEN, 11)  # five more, of six
    assert not validate(QUIET, offline_settings).success


def test_no_training_has_posts_of_a_blocked_hour_until_a_later_verdict(
    offline_settings: Settings, tmp_path: Path
) -> None:
    """Whichever time range is asked for, and as of the verdict's own time."""
    for start in (QUIET.start, QUIET.start + timedelta(days=1)):
        rows = [post_row(f"{start.day}-{i}", start, created_timestamp=start) for i in range(12)]
        put(offline_settings, rows, [])
    spoil(offline_settings, "text_embedding", BROKEN, 6)
    first, second = QUIET.end + timedelta(minutes=10), QUIET.end + timedelta(minutes=20)
    assert not validate(QUIET, offline_settings, first).success
    week = TimeRange(QUIET.start - timedelta(days=3), QUIET.end + timedelta(days=3))
    later = week.end

    posts, left_out = load_window(week, offline_settings, later)
    assert left_out == {"quarantined": 6, "blocked": 6}
    assert {post.post_id[:3] for post in posts} == {"p2-"}
    exported = export(week, offline_settings, tmp_path / "set.parquet", later)
    assert (exported.rows, exported.left_out) == (12, left_out)
    with pytest.raises(TooFew, match="but 6 quarantined and 6 blocked"):
        load_window(QUIET, offline_settings, later)
    before = training_set(QUIET, offline_settings, first - timedelta(seconds=1))
    assert len(before) == 12

    assert validate(QUIET, offline_settings, second).success  # the bad rows are put aside now
    posts, left_out = load_window(week, offline_settings, later)
    assert (len(posts), left_out) == (18, {"quarantined": 6, "blocked": 0})
    with pytest.raises(TooFew, match="blocked"):
        load_window(week, offline_settings, first)


def test_an_hour_that_was_empty_blocks_no_post_that_comes_late(offline_settings: Settings) -> None:
    assert not validate(QUIET, offline_settings).success
    quiet_hour(offline_settings, 3)
    assert len(training_set(QUIET, offline_settings)) == 3


def test_a_late_run_gives_the_bytes_of_the_run_on_time(offline_settings: Settings) -> None:
    """Whatever was written, labelled or quarantined after the time that both runs stand for."""
    quiet_hour(offline_settings, 12, created_timestamp=QUIET.end)
    spoil(offline_settings, "text_embedding", BROKEN, 6)
    as_of = QUIET.end + timedelta(minutes=10)
    on_time = validate(QUIET, offline_settings, as_of)
    files = [Path(on_time.report), Path(on_time.report).with_suffix(".json")]
    before = [path.read_bytes() for path in files]
    row = post_row(20, QUIET.start, created_timestamp=as_of + timedelta(seconds=1))
    put(offline_settings, [row], [])
    late = validate(QUIET, offline_settings, as_of)
    assert late == on_time
    assert not late.success
    assert [path.read_bytes() for path in files] == before
    assert validate(QUIET, offline_settings).rows == 13
