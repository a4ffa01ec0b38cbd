"""Vectors of a teacher, on disk: by teacher and content, fp16, with a checksum per shard."""

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from covla.arrays import Array, FloatArray
from covla.training.feature_cache import FeatureCache

log = logging.getLogger(__name__)


class VectorCache(FeatureCache):
    """Vectors of one teacher, `folder / teacher id`.

    A shard that is damaged (cut off, changed, of another width, or with numbers missing) is
    deleted and its vectors are computed again.
    """

    def __init__(self, folder: Path, teacher: str, width: int) -> None:
        self.width = width
        super().__init__(folder, teacher)

    def _open(self, path: Path) -> None:
        try:
            with safe_open(path, framework="pt") as shard:
                tensors = {key: shard.get_tensor(key) for key in shard.keys()}  # noqa: SIM118
                checksum = (shard.metadata() or {}).get("sha256")
        except (OSError, SafetensorError):
            checksum, tensors = None, {}
        sound = all(row.shape == (self.width,) for row in tensors.values())
        if not sound or checksum != _checksum(tensors):
            log.warning("%s is damaged: what it held is computed again", path)
            path.unlink(missing_ok=True)
            return
        super()._open(path)

    def has(self, key: str) -> bool:
        """Whether a vector is stored."""
        return key in self._where

    def vector(self, key: str) -> FloatArray:
        """The stored vector, d float32."""
        found = self.get(key)
        assert found is not None
        return found.float().numpy()

    def keep(self, rows: Mapping[str, Array]) -> None:
        """Store vectors by key; nothing half-written is ever visible."""
        if rows:
            tensors = {key: torch.from_numpy(row.astype(np.float16)) for key, row in rows.items()}
            self.put(tensors, {"sha256": _checksum(tensors)})


def _checksum(tensors: Mapping[str, Tensor]) -> str:
    total = hashlib.sha256()
    for key in sorted(tensors):
        total.update(key.encode())
        total.update(tensors[key].contiguous().numpy().tobytes())
    return total.hexdigest()
