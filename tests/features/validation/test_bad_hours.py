"""Each kind of bad hour is caught on a real lake, and a good one, large or quiet, passes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from covla.posts.image_store import BlobStore
from covla.settings import Settings
from features.lake import Lake
from features.training_set import training_set
from features.validation import Validation, validate
from tests.conftest import FreshState
from tests.features.validation.hours import (
    AS_OF,
    FIRST,
    WINDOW,
    Change,
    Rows,
    every,
    promote,
    rows_of,
    write,
)

pytestmark = pytest.mark.slow
POSTS = 120


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory, fresh_state: FreshState) -> Settings:
    """Two days of hours, and a champion."""
    settings = Settings(state=fresh_state(tmp_path_factory.mktemp("state")))
    promote(settings, [row for hour in range(4) for row in rows_of(hour, 100, seed=1)])
    history = [rows_of(hour, POSTS + hour % 5) for hour in range(FIRST)]
    write(settings, [row for rows in history for row in rows], "history")
    return settings


def check(settings: Settings, rows: Rows, dead: int = 0) -> Validation:
    write(settings, rows, dead=dead)
    return validate(WINDOW, settings, AS_OF)


def blocked(validation: Validation) -> set[str]:
    return {row.name for row in validation.expectations if row.outcome == "blocked"}


def test_a_good_hour_meets_every_expectation(stream: Settings) -> None:
    validation = check(stream, rows_of(FIRST, POSTS), dead=3)
    assert validation.success
    assert {row.outcome for row in validation.expectations} == {"passed"}
    assert len(validation.expectations) == 21
    assert validation.compared_with == {"champion": "1", "time_ranges": 7}


@pytest.mark.parametrize("posts", [40, 250])
def test_a_quieter_and_a_busier_hour_pass(stream: Settings, posts: int) -> None:
    validation = check(stream, rows_of(FIRST, posts))
    assert validation.success, validation.failed


def _copied(rows: Rows) -> None:
    for row in rows[3:90]:
        row |= {name: rows[0][name] for name in ("text", "text_hash", "image_hash")}


def _saved_anew(rows: Rows) -> None:
    source = int.from_bytes(rows[0]["image_perceptual_hash"], "big")
    for i, row in enumerate(rows[3:90]):
        row["image_perceptual_hash"] = (source ^ (1 << i)).to_bytes(16, "big")


def _darker(rows: Rows) -> None:
    for row in rows:
        row |= {f"image_{name}": 3.0 for name in ("brightness", "contrast", "entropy")}
        row |= {"image_noise": 30.0, "image_blur": 0.0}


NO_TEXT = {"has_text": False, "text": "", "text_hash": "", "text_embedding": None}
NO_IMAGE = {"has_image": False, "image_hash": "", "image_embedding": None}
MEASURES = {f"image_{name}" for name in ("brightness", "contrast", "entropy", "noise", "blur")}
BAD: dict[str, tuple[list[Change], set[str]]] = {
    "posts without text, all of one label": (
        [every(0.5, **NO_TEXT), every(1, label="school")], {"text_missing", "label_balance"},
    ),
    "posts without image, in another language": (
        [every(0.5, **NO_IMAGE), every(0.6, lang="pl")], {"image_missing", "language_mix"},
    ),
    "texts cut, images dark, grainy and blurred": (
        [every(1, text_characters=6.0), _darker], {"text_length", *MEASURES},
    ),
    "one post many times": ([_copied], {"duplicates", "near_duplicate_images"}),
    "one image many times": ([_saved_anew], {"near_duplicate_images"}),
    "rows that the network cannot work with": (
        [
            every(0.3, text_embedding=[float("nan")] * 8, image_embedding=[0.5] * 4),
            every(0.3, encoder_id="two", label="moon_base"),
        ],
        {"embedding_finite", "embedding_width", "one_encoder", "label_known", "label_balance"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_hour_is_blocked_by_its_expectations(stream: Settings, kind: str) -> None:
    changes, names = BAD[kind]
    rows = rows_of(FIRST, POSTS)
    for change in changes:
        change(rows)
    validation = check(stream, rows)
    assert blocked(validation) == names
    assert not validation.success
    assert training_set(WINDOW, stream, AS_OF).empty


@pytest.mark.parametrize(
    ("posts", "dead", "name"),
    [(15, 0, "volume"), (900, 0, "volume"), (POSTS, 60, "dead_letters")],
)
def test_an_outage_a_flood_and_unreadable_records_block(
    stream: Settings, posts: int, dead: int, name: str
) -> None:
    assert blocked(check(stream, rows_of(FIRST, posts), dead)) == {name}


def own(settings: Settings, folder: Path, text: str) -> Settings:
    path = folder / "mine.yaml"
    path.write_text(text)
    return settings.model_copy(update={"expectations": path})


def test_a_warning_leaves_the_posts_in(stream: Settings, tmp_path: Path) -> None:
    rows = rows_of(FIRST, POSTS)
    every(0.6, lang="pl")(rows)
    validation = check(own(stream, tmp_path, "language_mix: {severity: warn}"), rows)
    assert (validation.success, validation.failed, validation.quarantined) == (True, [], 0)
    assert [warning.split(":")[0] for warning in validation.warned] == ["language_mix"]
    assert len(training_set(WINDOW, stream, AS_OF)) == POSTS


def test_copies_are_left_out_and_the_page_says_what_else_could_be(
    stream: Settings, tmp_path: Path
) -> None:
    rows = rows_of(FIRST, POSTS)
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    import cv2

    uri = BlobStore(stream).put(cv2.imencode(".png", pixels)[1].tobytes())
    rows[0]["text"] = rows[0]["text_hash"] = "<b>the one text</b> of all these copies & no other"
    for row in rows[1:31]:
        row |= {name: rows[0][name] for name in ("text", "text_hash", "image_hash")}
        row["image_uri"] = uri
    settings = own(stream, tmp_path, "near_duplicate_images: {severity: warn}")
    validation = check(settings, rows)
    assert (validation.success, validation.quarantined) == (True, 30)
    kept = set(training_set(WINDOW, stream, AS_OF)["post_id"])
    assert len(kept) == POSTS - 30
    assert rows[0]["post_id"] in kept  # the first of them stays
    (copies,) = [row for row in validation.expectations if row.name == "duplicates"]
    assert (copies.outcome, copies.unexpected) == ("quarantined", 30)
    assert copies.alternatives == {"block": 0, "warn": POSTS}
    page = Path(validation.report).read_text()
    assert "block: 0 of 120, warn: 120 of 120" in page
    assert page.count('<img src="data:image/jpeg;base64,') == 6  # three of each of two
    assert "&lt;b&gt;the one text" in page
    assert "<b>the one" not in page


def test_before_a_champion_what_needs_one_says_so(offline_settings: Settings) -> None:
    validation = check(offline_settings, rows_of(FIRST, POSTS))
    assert validation.success
    reasons = {row.name: row.reason for row in validation.expectations if row.reason}
    assert "no champion yet" in str(reasons["image_blur"])
    assert "of 0 comparable time ranges before" in str(reasons["volume"])
    assert len(reasons) == 11
    assert "there is no champion yet" in Path(validation.report).read_text()


def test_rows_of_an_earlier_release_have_no_hash_and_are_checked(stream: Settings) -> None:
    rows = rows_of(FIRST, POSTS)
    every(1, image_perceptual_hash=None)(rows)
    assert check(stream, rows).success
    every(0.8, image_hash="the same bytes")(rows)
    assert blocked(check(stream, rows)) == {"near_duplicate_images"}


@hypothesis_settings(max_examples=2, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.permutations(range(6)), st.integers(0, 30))
def test_the_same_posts_give_the_same_bytes_however_they_came(
    stream: Settings, order: list[int], late: int
) -> None:
    """In whatever order and files, and with what came after the time that is stood for."""
    rows = rows_of(FIRST, 90)
    every(0.2, text_embedding=[float("nan")] * 8)(rows)
    first = check(stream, rows)
    files = [Path(first.report), Path(first.report).with_suffix(".json")]
    before = [path.read_bytes() for path in files]
    parts = [[rows[i] for i in range(90) if i % 6 == part] for part in order]
    try:
        for name, part in enumerate(parts):
            write(stream, list(reversed(part)), f"part-{name}")
        later: list[dict[str, Any]] = rows_of(FIRST, late, seed=9)
        every(1, created_timestamp=AS_OF.replace(minute=50))(later)
        write(stream, later or rows[:1])
        assert validate(WINDOW, stream, AS_OF) == first
        assert [path.read_bytes() for path in files] == before
    finally:
        for name in [f"part-{n}" for n in range(6)]:
            for table in ("posts", "labels"):
                Lake(stream).discard(table, WINDOW, name)
