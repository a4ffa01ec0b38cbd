"""Posts with odd images train as they are seen, and those that cannot be read are counted."""

import base64
import io
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import Image as Pillow

from covla.errors import CovlaError
from covla.posts.taxonomy import load_taxonomy
from covla.posts.training_post import TrainingPost
from covla.schemas.post import Image, SocialPost
from covla.settings import Settings
from covla.training.dataset import prepare_posts

# A directory with one entry: the x resolution, at offset 26, -72 / -1.
ODD = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x1a\x01\x05\0\x01\0\0\0\x1a\0\0\0\0\0\0\0\xb8\xff\xff\xff"


def row(number: int, content: bytes) -> TrainingPost:
    post = SocialPost(
        post_id=f"p{number}",
        created_at=datetime(2026, 5, 1, tzinfo=UTC),
        text="words",
        image=Image(data=base64.b64encode(content).decode()),
    )
    return TrainingPost(post, "home")


def jpeg(**more: bytes) -> bytes:
    file = io.BytesIO()
    Pillow.new("RGB", (20, 10), "white").save(file, "JPEG", **more)
    return file.getvalue()


def transparent() -> bytes:
    file = io.BytesIO()
    Pillow.new("RGBA", (20, 10), (0, 0, 0, 0)).save(file, "PNG")
    return file.getvalue()


def test_odd_images_are_used_and_broken_ones_counted(tmp_path: Path) -> None:
    contents = [jpeg(exif=ODD), b"no image", transparent(), jpeg()[:150], jpeg()]
    rows = [row(i, content) for i, content in enumerate(contents)]
    done: list[int] = []
    found = prepare_posts(
        rows, load_taxonomy(), Settings(state=tmp_path), lambda _, i, __: done.append(i)
    )
    assert [r.post_id for r in found.posts] == ["p0", "p2", "p4"]
    assert found.skipped == 2
    assert done == [1, 2, 3, 4, 5]
    for item in found.prepared:
        assert item.image is not None
        assert item.image.min() >= 254
    text_only = Settings(state=tmp_path, unreadable_image="text_only")
    found = prepare_posts(rows, load_taxonomy(), text_only, lambda *_: None)
    assert found.skipped == 0
    assert [item.image is None for item in found.prepared] == [False, True, False, True, False]


def test_no_usable_post_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(CovlaError, match="none of the posts can be used"):
        prepare_posts(
            [row(0, b"no image")], load_taxonomy(), Settings(state=tmp_path), lambda *_: None
        )
