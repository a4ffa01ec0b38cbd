"""What goes and what stays, whenever it is killed."""

import subprocess
import sys
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Timer

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from covla.errors import CovlaError, ServiceUnavailable
from covla.posts.image_store import BlobStore
from covla.removal_lock import reading, removing
from covla.settings import Settings
from covla.time_range import TimeRange
from features.lake import Lake
from features.online import post_features
from features.rebuild import rebuild
from features.training_set import training_set
from services.housekeeping.run import housekeeping
from tests.services.housekeeping.conftest import add_post, age, killed_after, tree

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
FILES = ("cache/x/1.safetensors", "reports/drift/report.html", "reports/b.json")
AGES = st.lists(st.sampled_from([1, 40, 100, 200, 400]), min_size=1, max_size=3, unique=True)


def days(number: float) -> datetime:
    return NOW - timedelta(days=number)


def fill(state: Path, ages: list[int]) -> Settings:
    """A post with an image of its own, a cached file and two reports for each age, in days."""
    settings = Settings(state=state)
    Lake(settings).create()
    for number, old in enumerate(ages):
        add_post(settings, number, days(old), image=b"image %d" % number)
        for name in FILES:
            path = state / name.replace("/", f"/{number}-", 1)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(bytes(100))
            age(path, days(old))
            age(path.parent, days(old))
    return settings


def test_what_is_older_than_its_retention_goes_and_is_counted(tmp_path: Path) -> None:
    settings = fill(tmp_path, [1, 40, 100, 200, 400])
    before = tree(tmp_path)
    planned = housekeeping(settings, as_of=NOW, dry_run=True)
    assert tree(tmp_path) == before
    done = housekeeping(settings, as_of=NOW)
    counts = {kind: freed.files for kind, freed in done.freed.items()}
    assert counts == {"images": 3, "texts": 1, "models": 0, "caches": 4, "reports": 4}
    assert planned.freed == done.freed
    after = tree(tmp_path)
    assert done.as_dict()["bytes"] == sum(map(len, before.values())) - sum(map(len, after.values()))
    kept = {name for name in after if name.startswith(("cache", "reports"))}
    pages = ("b.json", "drift/report.html")
    assert kept == {
        "cache/0-x/1.safetensors",
        *(f"reports/{number}-{name}" for number in range(3) for name in pages),
    }
    assert not (tmp_path / "reports" / "3-drift").exists()
    again = housekeeping(settings, as_of=NOW)
    assert again.as_dict()["files"] == again.as_dict()["bytes"] == 0
    assert tree(tmp_path) == after


@pytest.mark.slow
@hypothesis_settings(max_examples=8)
@given(AGES, st.integers(0, 25))
def test_killed_anywhere_and_started_again_it_ends_as_if_it_had_not_been(
    tmp_path_factory: pytest.TempPathFactory, ages: list[int], steps: int
) -> None:
    whole, cut = (fill(tmp_path_factory.mktemp("state"), ages) for _ in range(2))
    housekeeping(whole, as_of=NOW)
    with killed_after(steps):
        housekeeping(cut, as_of=NOW)
    housekeeping(cut, as_of=NOW)
    # A draft that a kill leaves goes when it is as old as what it is of.
    named = {name for name in tree(cut.state) if not name.endswith(".part")}
    assert named == tree(whole.state).keys()
    rows = Lake(cut).read("posts", TimeRange(days(500), NOW))
    assert rows["text"].null_count == sum(old == 400 for old in ages)


def test_an_image_stays_as_long_as_a_kept_post_names_it(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path)
    add_post(settings, 0, days(100), image=b"one")
    add_post(settings, 1, days(10), image=b"one")
    file = add_post(settings, 2, days(100), image=b"two")
    assert file is not None
    for image in BlobStore(settings).stored_before(NOW):
        age(Path(image.path), days(100))
    assert housekeeping(settings, as_of=NOW).freed["images"].files == 1
    assert not file.exists()
    assert len(BlobStore(settings).stored_before(NOW)) == 1


def test_an_expired_text_is_gone_online_too_and_its_post_trains_no_more(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path)
    for number, old, text in ((0, 400, "old words"), (1, 10, "new words"), (2, 400, "")):
        add_post(settings, number, days(old), text=text, image=b"image")
    rebuild(settings)
    assert post_features(settings, "p0")["text"] == "old words"
    housekeeping(settings, as_of=NOW)
    assert [post_features(settings, f"p{n}")["text"] for n in range(3)] == [None, "new words", ""]
    frame = training_set(TimeRange(days(500), NOW), settings, NOW)
    assert frame["post_id"].tolist() == ["p2", "p1"]
    assert frame.attrs["left_out"]["expired"] == 1
    rows = b"".join(path.read_bytes() for path in (tmp_path / "lake").rglob("*.parquet"))
    assert b"new words" in rows
    assert b"old words" not in rows


def test_what_lies_outside_the_state_folder_stays(tmp_path: Path) -> None:
    outside, state = tmp_path / "outside", tmp_path / "state"
    for name in ("cache", "reports", "models"):
        (outside / name).mkdir(parents=True)
        (outside / name / "file").touch()
        age(outside / name / "file", days(5000))
        (state / name).mkdir(parents=True)
        (state / name / "link").symlink_to(outside / name)
        (state / name / "file").symlink_to(outside / name / "file")
    done = housekeeping(Settings(state=state), as_of=NOW)
    assert done.as_dict()["files"] == 0
    assert sum(path.is_file() for path in outside.rglob("*")) == 3


def test_it_takes_turns_with_commands_that_work_on_posts(tmp_path: Path) -> None:
    settings = fill(tmp_path, [400])
    before = tree(tmp_path)
    with reading(settings), reading(settings):
        with pytest.raises(ServiceUnavailable, match="a command works on the posts of"):
            housekeeping(settings)
        assert housekeeping(settings, dry_run=True).as_dict()["files"] == 5
    with removing(settings), pytest.raises(ServiceUnavailable):
        housekeeping(settings)
    assert tree(tmp_path) == before
    # A reader that is killed holds nothing.
    reader = """
import os, sys
from covla.removal_lock import reading
from covla.settings import Settings
with reading(Settings(state=sys.argv[1])):
    os.kill(os.getpid(), 9)
"""
    killed = subprocess.run([sys.executable, "-c", reader, str(tmp_path)], check=False)
    assert killed.returncode == -9
    with ExitStack() as reads:
        reads.enter_context(reading(settings))
        end = Timer(0.2, reads.close)
        end.start()
        assert housekeeping(settings, wait=100).as_dict()["files"] == 5
        end.join()


def test_a_time_to_come_and_a_retention_below_the_training_window_are_refused(
    tmp_path: Path,
) -> None:
    with pytest.raises(CovlaError, match=r"as-of: .* is in the future"):
        housekeeping(Settings(state=tmp_path), as_of=datetime.now(UTC) + timedelta(hours=1))
    for name in ("blob", "text"):
        short = Settings(state=tmp_path).model_copy(update={f"{name}_retention_days": 29})
        with pytest.raises(CovlaError, match=f"{name.upper()}_RETENTION_DAYS .* 30 days or more"):
            housekeeping(short)
