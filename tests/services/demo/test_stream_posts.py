"""The phases of the demo share no content."""

import base64
import io
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import Image as Pillow

from covla.errors import CovlaError
from covla.evaluation.gate_rules import Rules
from covla.posts.content_groups import contents_of, groups_of
from covla.posts.folder import FolderPost, read_folder, write_folder
from covla.posts.splits import grouped, hold_out
from covla.posts.synthetic import generate
from covla.posts.training_post import TrainingPost
from covla.settings import Settings
from features.source import HELD_OUT
from services.demo.stream_posts import Phase, from_folder, synthetic, windows

pytestmark = pytest.mark.slow

WEEK = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 8, tzinfo=UTC)


def share_nothing(phases: dict[str, Phase], settings: Settings) -> None:
    rows = [(name, item) for name, phase in phases.items() for item in phase.posts]
    groups = groups_of(contents_of((item.post for _, item in rows), settings))
    of: dict[str, set[str]] = {}
    for (name, _), group in zip(rows, groups, strict=True):
        of.setdefault(group, set()).add(name)
    assert all(len(names) == 1 for names in of.values())
    assert len({item.post.post_id for _, item in rows}) == len(rows)
    for phase in phases.values():
        assert all(phase.window.start <= i.post.created_at < phase.window.end for i in phase.posts)


def test_synthetic_phases_share_no_content(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path)
    phases = synthetic(windows(settings)[0], 7, 0.5, settings)
    assert {name: len(phase.posts) for name, phase in phases.items()} == {
        "history": 260, "live": 80, "drifted": 110, "after": 80,
    }  # fmt: skip
    share_nothing(phases, settings)


def test_demos_of_one_state_come_after_each_other_and_are_numbered(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path)
    (first, one), (second, two) = windows(settings), windows(settings)
    assert (one, two) == (1, 2)
    assert first["after"].end == second["history"].start


def smaller(picture: bytes) -> bytes:
    with Pillow.open(io.BytesIO(picture)) as whole:
        half = whole.resize((whole.width // 2, whole.height // 2))
    file = io.BytesIO()
    half.save(file, "JPEG", quality=60)
    return file.getvalue()


def folder_of(folder: Path, val: int, *, repost: bool = False) -> Path:
    items: list[tuple[FolderPost, bytes | None]] = []
    for i, (item, picture) in enumerate(generate(80 + val, 11, *WEEK)):
        split = "train" if i < 80 else "val"
        items.append((replace(item, split=split), picture))
        if repost and i % 4 == 0 and picture is not None:
            post = item.post.model_copy(
                update={"post_id": f"{item.post.post_id}~", "text": "again"}
            )
            items.append((replace(item, post=post, split="val"), smaller(picture)))
    write_folder(folder, items)
    return folder


def test_phases_of_a_folder_share_no_content_and_no_twin(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path / "state")
    folder = folder_of(tmp_path / "posts", 320, repost=True)
    phases = from_folder(windows(settings)[0], folder, settings)
    share_nothing(phases, settings)
    assert all(len(phase.posts) > 70 for phase in phases.values())
    # As they were before the filter, which hides a twin from any hash.
    origin = {item.post.post_id: item.post for item in read_folder(folder, settings=settings)}
    names = [(name, i.post.post_id.removesuffix("~filtered"))
             for name, phase in phases.items() for i in phase.posts]  # fmt: skip
    assert len({post_id for _, post_id in names}) == len(names)
    groups = groups_of(contents_of((origin[post_id] for _, post_id in names), settings))
    acts_of: dict[str, set[str]] = {}
    for (name, _), group in zip(names, groups, strict=True):
        acts_of.setdefault(group, set()).add(name)
    assert all(len(found) == 1 for found in acts_of.values())
    # And what comes after the drift is filtered.
    for name, phase in phases.items():
        filtered = [i for i in phase.posts if i.post.post_id.endswith("~filtered")]
        assert len(filtered) == (len(phase.posts) if name in {"drifted", "after"} else 0)
        for item in filtered:
            image, before = item.post.image, origin[item.post.post_id.removesuffix("~filtered")]
            assert (image is None) == (before.image is None)
            if image is not None and before.image is not None:
                assert base64.b64decode(image.data or "") != base64.b64decode(
                    before.image.data or ""
                )


def test_a_folder_with_too_few_posts_is_refused_at_once(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path / "state")
    with pytest.raises(
        CovlaError, match=r"split val has 90 posts, and 1\d of them .* the gate needs 30"
    ):
        from_folder(windows(settings)[0], folder_of(tmp_path / "few", 90), settings)


def test_posts_whose_image_cannot_be_read_are_in_no_phase(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(state=tmp_path / "state")
    folder = folder_of(tmp_path / "posts", 330)
    broken = sorted((folder / "images").iterdir())[::40]
    for path in broken:
        path.write_bytes(b"no image")
    phases = from_folder(windows(settings)[0], folder, settings)
    shown = {
        i.post.post_id.removesuffix("~filtered") for phase in phases.values() for i in phase.posts
    }
    assert not shown & {path.stem for path in broken}
    assert "posts are left out, such as" in caplog.text


def test_a_small_demo_holds_out_enough_for_the_gate(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path)
    for seed in (1, 2):
        phases = synthetic(windows(settings)[0], seed, 0.1, settings)
        share_nothing(phases, settings)
        rows = [TrainingPost(i.post, i.label) for n in ("live", "drifted") for i in phases[n].posts]
        held = hold_out(grouped(rows, settings), HELD_OUT)
        assert sum(row.split == "holdout" for row in held) >= Rules().fewest
