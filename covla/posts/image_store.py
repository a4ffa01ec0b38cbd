"""Images by content hash, on any fsspec file system; the only addresses a post may name."""

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import cv2
import fsspec

from covla.arrays import Array
from covla.errors import CovlaError, PostError, ServiceUnavailable
from covla.settings import Settings
from covla.times import now

DERIVATIVE_PIXELS = 256
# Another name whenever the same bytes decode to other pixels; what has an older one is not read.
DERIVATIVE = ".256-2.png"
# What is put again after so long is written anew. A retention is a day at least: an image that is
# about to expire does not go while the post that brought it again is on its way to the lake.
FRESH = timedelta(hours=12)
_NAME = re.compile(r"[0-9a-f]{64}(\.[\w.-]+)?")  # images, derivatives and drafts; no other file


@dataclass(frozen=True)
class StoredImage:
    """A file of the store: an image, a derivative of one, or a draft of either."""

    path: str
    sha: str
    size: int  # bytes

    @property
    def is_draft(self) -> bool:
        """Whether a writer that was killed left it: no address leads to it."""
        return self.path.endswith(".part")


class BlobStore:
    """`put` and `read` by address. An address outside the root is refused, whatever it says."""

    def __init__(self, settings: Settings) -> None:
        self.root = settings.blobs.rstrip("/")
        self._fs: Any
        self._roots = {self.root}
        if "://" in self.root and not self.root.startswith("file:"):
            try:
                self._fs, base = fsspec.core.url_to_fs(self.root)
            except (ValueError, ImportError) as error:
                raise CovlaError(
                    f"COVLA_BLOB_ROOT: {self.root[:200]!r} cannot be opened: {error}",
                    hint="Give a path, or an address that fsspec has a package for",
                ) from error
            self._bases = [base]
            self._local = False
            return
        # Not by url_to_fs: it takes a path as it is written, %20 and all, and splits it at "::".
        self._fs = fsspec.filesystem("file")
        self._local = True
        written = str(Path(self.root.removeprefix("file:").removeprefix("//")).absolute())
        base = unquote(written) if self.root.startswith("file:") else written
        # Version 0.1.0 wrote to the quoted path, beside the state folder.
        self._bases = [base] if base == written else [base, written]
        self._roots |= {f"file://{base}", Path(base).as_uri()}

    def _path(self, sha: str, *, derivative: bool, base: str = "") -> str:
        return f"{base or self._bases[0]}/{sha[:2]}/{sha}{DERIVATIVE if derivative else ''}"

    def uri(self, sha: str) -> str:
        """The address of the image with this SHA-256 (hex)."""
        return f"{self.root}/{sha[:2]}/{sha}"

    def _write(self, path: str, content: bytes) -> None:
        if self._is_fresh(path):
            return  # content-addressed: what is there is the same
        # Threads and workers that store one image at once must not move each other's draft.
        draft = f"{path}.{secrets.token_hex(4)}.part"
        try:
            self._fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
            self._fs.pipe_file(draft, content)
            self._fs.mv(draft, path)
        except OSError as error:
            raise ServiceUnavailable(
                f"cannot store an image under {self.root}: {error}",
                hint="Free some space or correct COVLA_BLOB_ROOT",
            ) from error

    def _is_fresh(self, path: str) -> bool:
        try:
            return bool(self._fs.modified(path) > now() - FRESH)
        except FileNotFoundError:
            return False

    def put(self, content: bytes, image: Array | None = None) -> str:
        """Store an image; returns its address.

        With `image` (uint8, H x W x 3, RGB, longer side <= 256), a lossless derivative that
        training reads in place of a large original is stored too: its pixels are the same ones
        that serving sees.
        """
        sha = hashlib.sha256(content).hexdigest()
        if image is not None:
            ok, encoded = cv2.imencode(
                ".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 1]
            )
            if not ok:
                raise CovlaError(f"cannot encode the derivative of image {sha}")
            self._write(self._path(sha, derivative=True), encoded.tobytes())
        self._write(self._path(sha, derivative=False), content)
        return self.uri(sha)

    def read(self, uri: str, *, derivative: bool = False) -> bytes:
        """The image at `uri`; with `derivative`, the small one where there is one.

        Raises:
            PostError: the address is not in the store, or nothing is there.
            OSError: the store cannot be read.
        """
        sha = uri.rsplit("/", 1)[-1]
        root = uri.removesuffix(f"/{sha[:2]}/{sha}")
        if root not in self._roots or len(sha) != 64 or set(sha) - set("0123456789abcdef"):
            raise PostError("image.uri", "outside_store", f"{uri[:200]!r} is not in the blob store")
        for base in self._bases:
            for small in (True, False) if derivative else (False,):
                try:
                    content: bytes = self._fs.cat_file(self._path(sha, derivative=small, base=base))
                except FileNotFoundError:
                    continue
                return content
        raise PostError("image.uri", "missing_blob", f"nothing is stored at {uri[:200]}")

    def stored_before(self, before: datetime) -> list[StoredImage]:
        """Files that were last put before this time."""
        found = []
        for base in self._bases:
            for path, about in self._fs.find(base, detail=True).items():
                name = path.rsplit("/", 1)[-1]
                if _NAME.fullmatch(name) and self._modified(path) < before:
                    found.append(StoredImage(path, name[:64], int(about["size"])))
        self._fs.invalidate_cache()  # `remove` must see what came since
        return found

    def remove(self, image: StoredImage, before: datetime) -> bool:
        """Delete a file, unless it was put again since `before`. Returns whether it is gone."""
        try:
            if not self._local:
                if self._modified(image.path) >= before:
                    return False
                self._fs.rm_file(image.path)
                return True
            # Moved away first: what is put from then on is another file.
            path = Path(image.path)
            aside = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
            path.rename(aside)
        except FileNotFoundError:
            return True
        if self._modified(str(aside)) >= before:
            aside.rename(path)
            return False
        aside.unlink()
        return True

    def _modified(self, path: str) -> datetime:
        modified: datetime = self._fs.modified(path)
        return modified.astimezone(UTC)
