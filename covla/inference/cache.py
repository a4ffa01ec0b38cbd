"""Texts and images that were encoded lately: reposts and repeated images run once."""

import threading
from contextlib import suppress
from dataclasses import dataclass

from cachetools import LRUCache

from covla.arrays import Array
from covla.model.encoders import Encoded

CACHE_BYTES = 64 * 2**20  # about 250 images of `base`


@dataclass(frozen=True)
class Side:
    """A text or an image alone, so that each is encoded once however it is combined."""

    text: str
    image: Array | None


class EncodedCache:
    """The last `limit` bytes of encoded texts and images, by content hash; the longest unused
    goes first. Of one model's encoders alone. Safe to use from several threads."""

    def __init__(self, limit: int = CACHE_BYTES) -> None:
        self._held: LRUCache[str, Encoded] = LRUCache(limit, getsizeof=_size)
        self._lock = threading.Lock()

    def get(self, key: str) -> Encoded | None:
        """What was put under the content hash, or None."""
        with self._lock:
            found: Encoded | None = self._held.get(key)
            return found

    def put(self, key: str, value: Encoded) -> None:
        """Remember; what is larger than the limit is not kept."""
        with self._lock, suppress(ValueError):  # its word for a value that is too large
            self._held[key] = value

    def clear(self) -> None:
        """Hold nothing."""
        with self._lock:
            self._held.clear()


def _size(value: Encoded) -> int:
    arrays = (value.tokens, value.text_embedding, value.regions, value.image_embedding)
    return sum(array.nbytes for array in arrays if array is not None)
