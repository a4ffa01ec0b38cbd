"""A state folder with a lake, images and texts of many ages, and no network but the encoders."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from covla.posts.image_store import BlobStore
from covla.settings import Settings
from features.lake import Lake
from features.tables import POSTS, TEXT_COLUMNS


def age(path: Path, at: datetime) -> None:
    """Set when a file was last read and written."""
    os.utime(path, (at.timestamp(),) * 2)


def add_post(
    settings: Settings,
    number: int,
    came: datetime,
    text: str = "at the bar",
    image: bytes = b"",
    written: datetime | None = None,
    again: datetime | None = None,
) -> Path | None:
    """A row of the lake that came at a time, with its image, whose file it returns; with `again` a
    row more, as of a post that was encoded again then."""
    blobs, file = BlobStore(settings), None
    uri = blobs.put(image) if image else None
    if uri is not None:
        file = settings.state.absolute() / "blobs" / uri[-67:]
        age(file, came)
    row: dict[str, Any] = {
        "post_id": f"p{number}", "event_timestamp": came, "created_timestamp": written or came,
        "posted_at": int(came.timestamp() * 1e6), "text": text, "lang": "en", "hashtags": ["bar"],
        "text_hash": "t" if text else "", "image_uri": uri, "has_text": bool(text),
        "has_image": bool(image), TEXT_COLUMNS[0]: float(len(text)),
        "topic": "covla.posts", "partition": 0, "offset": number,
    }  # fmt: skip
    rows = [row]
    if again is not None:
        source = {
            "came_at": written or came,
            "created_timestamp": again,
            "topic": "covla.posts@b@1",
        }
        rows.append(row | source)
    Lake(settings).append("posts", pa.Table.from_pylist(rows, schema=POSTS))
    return file


def tree(folder: Path) -> dict[str, bytes]:
    """Every file of the kinds that expire, with its bytes."""
    found = {}
    for kind in ("blobs", "cache", "lake", "models", "reports"):
        for path in sorted((folder / kind).rglob("*")):
            if path.is_file() and path.name != ".posts.lock":
                about = path.stat()
                found[path.relative_to(folder).as_posix()] = path.read_bytes()
                os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))  # looking is no use
    return found


class Killed(BaseException):
    """In place of a SIGKILL."""


@contextmanager
def killed_after(steps: int) -> Iterator[None]:
    """The process ends at the change of a file that comes after so many."""
    left = steps

    def guarded(change: Any) -> Any:
        def step(*args: Any, **options: Any) -> Any:
            nonlocal left
            if left == 0:
                raise Killed
            left -= 1
            return change(*args, **options)

        return step

    with pytest.MonkeyPatch.context() as patch:
        for name in ("unlink", "rename", "replace", "rmdir"):
            patch.setattr(Path, name, guarded(getattr(Path, name)))
        for name in ("unlink", "rmdir"):  # of shutil.rmtree
            patch.setattr(os, name, guarded(getattr(os, name)))
        with suppress(Killed):
            yield
