"""Planted reposts: no group by content is on both sides of any split."""

import io
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from PIL import Image as Pillow

from covla.errors import CovlaError
from covla.evaluation.promotion import promote
from covla.evaluation.study.posts import read_posts
from covla.posts.content_groups import contents_of, groups_of
from covla.posts.dataset import from_folder
from covla.posts.folder import FolderPost, Reading, write_folder
from covla.posts.seen import read_contents, unseen, write_contents
from covla.posts.splits import grouped, hold_out, repeats, split_of
from covla.posts.synthetic.generate import generate
from covla.posts.taxonomy import load_taxonomy
from covla.posts.training_post import TrainingPost
from covla.settings import Settings

WEEK = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 8, tzinfo=UTC)
LABELS = ["home", "school", "beach_coast"]
Items = list[tuple[FolderPost, bytes | None]]


def repost(item: FolderPost, picture: bytes | None, number: int) -> tuple[FolderPost, bytes | None]:
    """Under another id: the text in capitals with an address, or the image cut and smaller."""
    post = item.post.model_copy(update={"post_id": f"{item.post.post_id}~{number}"})
    if picture is None or (number % 2 and len(item.post.text) > 30):
        text = f"{post.text.upper()} https://t.co/{number}"
        return replace(item, post=post.model_copy(update={"text": text, "image": None})), None
    with Pillow.open(io.BytesIO(picture)) as whole:
        w, h = whole.size
        cut = whole.crop((w // 20, h // 20, w - w // 20, h - h // 20)).resize((w // 2, h // 2))
    file = io.BytesIO()
    cut.save(file, "JPEG", quality=70)
    return replace(item, post=post.model_copy(update={"text": f"look {number}"})), file.getvalue()


def planted(splits: tuple[str | None, ...]) -> Items:
    """120 posts in these splits in turn, every fourth with three reposts in the next splits."""
    items: Items = []
    for i, (item, picture) in enumerate(generate(120, 5, *WEEK, labels=LABELS)):
        again = [repost(item, picture, n) for n in range(3 if i % 4 == 0 else 0)]
        for k, (one, content) in enumerate([(item, picture), *again]):
            items.append((replace(one, split=splits[(i + k) % len(splits)]), content))
    return items


@pytest.fixture
def settings(state: Path) -> Settings:
    return Settings(state=state, device="cpu")


def folder_of(folder: Path, *splits: str | None) -> Path:
    write_folder(folder, planted(splits))
    return folder


def sides_of(rows: list[TrainingPost], settings: Settings) -> dict[str, set[str]]:
    """Group -> sides, from the posts alone."""
    found = groups_of(contents_of([row.post for row in rows], settings))
    sides = defaultdict(set)
    for row, group in zip(rows, found, strict=True):
        sides[group].add(row.split)
    return sides


def holds(rows: list[TrainingPost], settings: Settings) -> None:
    sides = sides_of(rows, settings)
    assert {side for one in sides.values() for side in one} == {"train", "holdout"}
    assert all(len(one) == 1 for one in sides.values())


@pytest.mark.slow
def test_a_folders_holdout_shares_no_content_with_what_trains(
    tmp_path: Path, settings: Settings
) -> None:
    for name, splits in {"none": (None,), "train": ("train",), "both": ("train", "val")}.items():
        folder = folder_of(tmp_path / name, *splits)
        reading = Reading()
        rows = from_folder(folder, "train", settings, unlabelled=None, reading=reading)
        holds(rows, settings)
        assert repeats(rows)["repeats"] + reading.copies > 50  # they are known
        assert (reading.copies > 0) == (name == "both")
        assert f"{reading.copies} posts repeat held-out ones" in str(reading) or name != "both"


def test_posts_without_a_label_repeat_no_held_out_one_either(
    tmp_path: Path, settings: Settings
) -> None:
    folder = folder_of(tmp_path / "posts", "train", "unlabelled", "val")
    lines = [orjson.loads(line) for line in (folder / "posts.jsonl").read_bytes().splitlines()]
    for line in lines:
        if line["split"] == "unlabelled":
            line["label"] = None
    (folder / "posts.jsonl").write_bytes(b"\n".join(map(orjson.dumps, lines)))
    rows = from_folder(folder, "train", settings, unlabelled=None)
    assert any(row.label is None for row in rows)
    holds(rows, settings)


@pytest.mark.slow
def test_a_study_judges_and_calibrates_on_other_content_than_it_learns_from(
    tmp_path: Path, settings: Settings
) -> None:
    taxonomy = load_taxonomy()
    for name, splits, split in (
        ("none", (None,), "val"),
        ("two", ("train", "val"), "val"),
        ("three", ("train", "val", "test"), "test"),
    ):
        folder = folder_of(tmp_path / name, *splits)
        posts = read_posts(folder, split, taxonomy, settings, unlabelled=None)
        holds(posts.train, settings)
        judged = [replace(row, split="holdout") for row in posts.judged]
        learned = [replace(row, split="train") for row in posts.train]
        holds(judged + learned, settings)
        assert posts.counts["repeats"] + posts.counts["left_out"] > 50
        assert (posts.counts["left_out"] > 0) == (name != "none")


def test_a_window_is_split_by_content(settings: Settings) -> None:
    rows = [TrainingPost(item.post, item.label) for item, _ in planted((None,))]
    holds(hold_out(grouped(rows, settings), 0.2), settings)


def test_a_group_that_is_larger_than_the_holdout_trains() -> None:
    rows: Any = [TrainingPost(SimpleNamespace(post_id=str(i)), None, group="g") for i in range(50)]  # type: ignore[arg-type]
    rows += [TrainingPost(SimpleNamespace(post_id=f"x{i}"), None, group=f"g{i}") for i in range(50)]  # type: ignore[arg-type]
    sides = hold_out(rows, 0.2)
    assert {row.split for row in sides[:50]} == {"train"}
    assert [row.split for row in sides[50:]] == [split_of(f"g{i}") for i in range(50)]
    assert repeats(rows) == {"groups": 51, "repeats": 49}


def test_what_a_model_has_trained_on_is_known_by_its_folder(
    tmp_path: Path, settings: Settings
) -> None:
    rows = grouped([TrainingPost(i.post, i.label) for i, _ in planted((None,))], settings)
    learned = [row for row in rows if "~" not in row.post_id][:80]
    write_contents(tmp_path, learned)
    (tmp_path / "old").mkdir()
    assert read_contents(tmp_path / "old") is None
    others = [TrainingPost(row.post, row.label) for row in rows if row not in learned]
    fresh, silent = unseen(others, [tmp_path, tmp_path / "old"], settings)
    assert silent == 1
    groups = {row.group for row in learned}
    assert 0 < len(fresh) < len(others)
    expected = {row.post_id for row in rows if row not in learned and row.group not in groups}
    assert {row.post_id for row in fresh} == expected
    assert unseen(others, [tmp_path / "old"], settings) == (others, 1)
    (tmp_path / "contents.parquet").write_bytes(b"no parquet")
    with pytest.raises(CovlaError, match="contents.parquet"):
        unseen(others, [tmp_path], settings)


@pytest.mark.slow
def test_the_gate_leaves_out_what_a_model_has_trained_on(
    model_folder: Path, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    day = datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 5, 2, tzinfo=UTC)
    known = [item for item, _ in generate(90, 1, *day)]  # what the model was trained on
    others = [item for item, _ in generate(40, 2, *day)]

    def rows(items: list[FolderPost]) -> list[TrainingPost]:
        changed = [
            item.post.model_copy(update={"post_id": f"again-{item.post.post_id}"}) for item in items
        ]
        return [TrainingPost(p, i.label, "holdout") for p, i in zip(changed, items, strict=True)]

    with pytest.raises(CovlaError, match=r"needs 30 labelled posts to judge by; there are 2\d"):
        promote(str(model_folder), rows(known), settings)
    assert "posts share content with what was trained on" in caplog.text
    done = promote(str(model_folder), rows(known + others), settings)
    assert done.left_out >= 60
    assert done.verdict is not None
    assert done.verdict.posts == 130 - done.left_out
