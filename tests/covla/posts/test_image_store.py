"""The image store lies in the state folder, whatever that folder is called."""

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from covla.errors import CovlaError, PostError
from covla.posts.image_store import BlobStore
from covla.settings import Settings

NAMES = ["my state", "100%", "a%20b", "stäte", "#1", "a?b=c", "[a]", "'\"", "a:b", "~", "a,b;c"]


def expire(blobs: BlobStore, before: datetime) -> int:
    return sum(blobs.remove(image, before) for image in blobs.stored_before(before))


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("name", NAMES)
def test_everything_lies_under_the_state_folder(tmp_path: Path, name: str) -> None:
    settings = Settings(state=tmp_path / name)
    blobs = BlobStore(settings)
    uri = blobs.put(b"content", np.zeros((4, 4, 3), np.uint8))
    assert blobs.read(uri) == b"content"
    assert blobs.read(uri, derivative=True).startswith(b"\x89PNG")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert len(files(settings.state / "blobs")) == 2
    for path in files(settings.state):
        os.utime(path, (0, 0))
    assert expire(blobs, datetime(2020, 1, 1, tzinfo=UTC)) == 2
    with pytest.raises(PostError, match="nothing is stored"):
        blobs.read(uri)


def test_what_earlier_versions_wrote_is_read_and_expires(tmp_path: Path) -> None:
    """They wrote to the quoted path, and a root without quotes gave addresses without."""
    settings = Settings(state=tmp_path / "my ä state")
    blobs = BlobStore(settings)
    sha = blobs.put(b"content").rsplit("/", 1)[-1]
    older = tmp_path / "my%20%C3%A4%20state" / "blobs" / sha[:2] / sha
    older.parent.mkdir(parents=True)
    (settings.state / "blobs" / sha[:2] / sha).rename(older)
    quoted = f"file://{tmp_path}/my%20%C3%A4%20state/blobs/{sha[:2]}/{sha}"
    plain = f"file://{tmp_path}/my ä state/blobs/{sha[:2]}/{sha}"
    for uri in (quoted, plain):
        assert blobs.read(uri) == b"content"
        assert blobs.read(uri, derivative=True) == b"content"
    os.utime(older, (0, 0))
    assert expire(blobs, datetime(2020, 1, 1, tzinfo=UTC)) == 1
    assert not older.exists()


def test_a_derivative_of_an_older_decoder_is_not_read_but_expires(tmp_path: Path) -> None:
    """It may show a transparent image on black, which serving no longer sees."""
    settings = Settings(state=tmp_path)
    blobs = BlobStore(settings)
    uri = blobs.put(b"content")
    original = next(iter(files(tmp_path)))
    original.with_name(f"{original.name}.256.png").write_bytes(b"older")
    assert blobs.read(uri, derivative=True) == b"content"
    for path in files(tmp_path):
        os.utime(path, (0, 0))
    assert expire(blobs, datetime(2020, 1, 1, tzinfo=UTC)) == 2


def test_an_image_that_is_put_again_is_a_new_one(tmp_path: Path) -> None:
    """Before it is listed, and between that and its removal."""
    before = datetime.now(UTC) - timedelta(days=1)
    blobs = BlobStore(Settings(state=tmp_path))
    uri = blobs.put(b"content")
    (path,) = files(tmp_path)
    os.utime(path, (0, 0))
    (listed,) = blobs.stored_before(before)
    assert blobs.put(b"content") == uri
    assert blobs.stored_before(before) == []
    assert not blobs.remove(listed, before)
    assert blobs.read(uri) == b"content"
    assert files(tmp_path) == [path]


def test_other_files_under_the_root_are_not_ours(tmp_path: Path) -> None:
    root = tmp_path / "bucket"
    root.mkdir()
    (root / "accounts.db").touch()
    os.utime(root / "accounts.db", (0, 0))
    blobs = BlobStore(Settings(state=tmp_path / "state", blob_root=str(root)))
    assert blobs.stored_before(datetime(2020, 1, 1, tzinfo=UTC)) == []


@pytest.mark.parametrize(
    "root", ["{0}/my blobs 50%", "file://{0}/my%20blobs%2050%25", "file:{0}/b"]
)
def test_a_root_of_ones_own_is_a_path_or_an_address(tmp_path: Path, root: str) -> None:
    blobs = BlobStore(Settings(state=tmp_path / "state", blob_root=root.format(tmp_path)))
    assert blobs.read(blobs.put(b"content")) == b"content"
    assert [path.name for path in tmp_path.iterdir()] == [
        "b" if root.endswith("/b") else "my blobs 50%"
    ]


@pytest.mark.parametrize(
    "uri",
    ["", "/", "x" * 64, "{root}", "{root}/ab/" + "z" * 64, "{root}/../ab/ab" + "0" * 62,
     "{root}/cd/ab" + "0" * 62, "{root}/ab/../ab/ab" + "0" * 62, "file:///etc/passwd",
     "{root}/ab/ab" + "0" * 62 + "?x"],
)  # fmt: skip
def test_no_other_address_is_read(tmp_path: Path, uri: str) -> None:
    blobs = BlobStore(Settings(state=tmp_path / "my state"))
    with pytest.raises(PostError, match="not in the blob store"):
        blobs.read(uri.format(root=blobs.root))


def test_a_store_that_cannot_be_read_is_no_fault_of_the_post(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path)
    blobs = BlobStore(settings)
    uri = blobs.put(b"content")
    path = next(iter(files(tmp_path)))
    path.unlink()
    path.mkdir()
    with pytest.raises(IsADirectoryError):
        blobs.read(uri)


@pytest.mark.parametrize("root", ["nowhere://bucket", "dropbox://folder"])
def test_an_address_that_nothing_opens_is_named(tmp_path: Path, root: str) -> None:
    with pytest.raises(CovlaError, match=f"COVLA_BLOB_ROOT: '{root}' cannot be opened: "):
        BlobStore(Settings(state=tmp_path, blob_root=root))


def test_one_picture_stored_by_many_threads_at_once(tmp_path: Path) -> None:
    store = BlobStore(Settings(state=tmp_path / "state"))
    with ThreadPoolExecutor(8) as pool:
        for number in range(200):
            content = b"%d" % number * 1000
            addresses = {pool.submit(store.put, content) for _ in range(8)}
            assert len({address.result() for address in addresses}) == 1
            assert store.read(next(iter(addresses)).result()) == content
    assert list((tmp_path / "state" / "blobs").rglob("*.part")) == []
