"""Pictures by content hash, on any fsspec file system; the only addresses a post may name."""

import hashlib
from datetime import UTC, datetime
from typing import Any

import cv2
import fsspec
import numpy as np

from covla.errors import CovlaError, PostError
from covla.settings import Settings

DERIVATIVE_PIXELS = 256


class BlobStore:
    """`put` and `read` by address. An address outside the root is refused, whatever it says."""

    def __init__(self, settings: Settings) -> None:
        self.root = settings.blobs.rstrip("/")
        self.limit = settings.max_image_bytes
        self._fs: Any
        self._fs, self._base = fsspec.core.url_to_fs(self.root)

    def _path(self, sha: str, *, derivative: bool) -> str:
        return f"{self._base}/{sha[:2]}/{sha}{'.256.png' if derivative else ''}"

    def uri(self, sha: str) -> str:
        """The address of the picture with this SHA-256 (hex)."""
        return f"{self.root}/{sha[:2]}/{sha}"

    def _write(self, path: str, content: bytes) -> None:
        if self._fs.exists(path):
            return  # content-addressed: what is there is the same
        draft = f"{path}.{hashlib.sha256(content).hexdigest()[:8]}.part"
        try:
            self._fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
            self._fs.pipe_file(draft, content)
            self._fs.mv(draft, path)
        except OSError as error:
            raise CovlaError(
                f"cannot store a picture under {self.root}: {error}",
                hint="Free some space or correct COVLA_BLOB_ROOT",
            ) from error

    def put(self, content: bytes, image: np.ndarray[Any, Any] | None = None) -> str:
        """Store a picture; returns its address.

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
                raise CovlaError(f"cannot encode the derivative of picture {sha}")
            self._write(self._path(sha, derivative=True), encoded.tobytes())
        self._write(self._path(sha, derivative=False), content)
        return self.uri(sha)

    def read(self, uri: str, *, derivative: bool = False) -> bytes:
        """The picture at `uri`; with `derivative`, the small one where there is one.

        Raises:
            PostError: the address is not in the store, or nothing is there.
        """
        sha = uri.rsplit("/", 1)[-1]
        if uri != self.uri(sha) or len(sha) != 64 or set(sha) - set("0123456789abcdef"):
            raise PostError("image.uri", "outside_store", f"{uri[:200]!r} is not in the blob store")
        small = self._path(sha, derivative=True)
        path = small if derivative and self._fs.exists(small) else self._path(sha, derivative=False)
        try:
            content: bytes = self._fs.cat_file(path)
        except FileNotFoundError:
            raise PostError("image.uri", "missing_blob", f"nothing is stored at {uri}") from None
        return content

    def expire(self, before: datetime) -> int:
        """Delete pictures first stored before this time; returns how many files went."""
        gone = 0
        for path in self._fs.find(self._base):
            if self._fs.modified(path).astimezone(UTC) < before:
                self._fs.rm_file(path)
                gone += 1
        return gone
