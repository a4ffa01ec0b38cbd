"""Frozen towers run once per post: their output on disk, by encoder and content, fp16.

Safetensors shards, memory-mapped when read, written aside and renamed: runs may share a cache,
and one that was killed keeps what it had encoded.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from covla.files import write_aside
from covla.model.encoders import Encoded
from covla.model.pooling_torch import Features

SHARD = 256
# Prefix of an image's keys. Another number whenever the same bytes decode to other pixels: what
# was encoded of a transparent image when it was still laid on black is then not found.
IMAGE = "i2"


class Hashed(Protocol):
    """What is read of a prepared post."""

    @property
    def text_hash(self) -> str: ...
    @property
    def image_hash(self) -> str: ...


class FeatureCache:
    """Features of posts for one encoder, `folder / encoder id`."""

    def __init__(self, folder: Path, encoder: str) -> None:
        self.folder = folder / encoder
        self.folder.mkdir(parents=True, exist_ok=True)
        self._where: dict[str, Any] = {}
        for path in sorted(self.folder.glob("*.safetensors")):
            self._open(path)

    def _open(self, path: Path) -> None:
        try:
            shard = safe_open(path, framework="pt")
        except (OSError, SafetensorError):
            path.unlink(missing_ok=True)  # damaged: it is computed again
            return
        self._where |= dict.fromkeys(list(shard.keys()), shard)  # type: ignore[no-untyped-call]

    def get(self, key: str) -> Tensor | None:
        """The stored tensor, fp16, or None."""
        shard = self._where.get(key)
        return None if shard is None else shard.get_tensor(key)

    def put(self, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> None:
        """Store tensors as a shard of their own."""
        name = hashlib.sha256("".join(sorted(tensors)).encode()).hexdigest()[:16]
        path = self.folder / f"{name}.safetensors"
        with write_aside(path) as draft:
            save_file(tensors, draft, metadata)
        self._open(path)

    def features(
        self,
        items: Sequence[Any],
        encode: Callable[[Sequence[Any]], list[Encoded]],
        progress: Callable[[int], None] = lambda done: None,
    ) -> list[Features]:
        """Tokens (T x d_T) and regions (R x d_V) per post, fp16, in order; None where missing."""
        keys = [
            (f"t.{item.text_hash}" if item.text_hash else "",
             f"{IMAGE}.{item.image_hash}" if item.image_hash else "")
            for item in items
        ]  # fmt: skip
        missing = [
            i for i, pair in enumerate(keys) if any(key and key not in self._where for key in pair)
        ]
        progress(len(items) - len(missing))
        for start in range(0, len(missing), SHARD):
            part = missing[start : start + SHARD]
            tensors: dict[str, Tensor] = {}
            for i, row in zip(part, encode([items[i] for i in part]), strict=True):
                for key, array in zip(keys[i], (row.tokens, row.regions), strict=True):
                    if key and array is not None:
                        tensors[key] = torch.from_numpy(array.astype(np.float16))
            self.put(tensors)
            progress(len(part))
        return [(self.get(text), self.get(image)) for text, image in keys]
