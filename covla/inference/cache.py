"""Texts and pictures that were encoded lately: reposts and repeated pictures run once."""

import threading
from collections import OrderedDict

from covla.model.encoders import Encoded

MEMO_BYTES = 64 * 2**20  # about 250 pictures of `base`


class Memo:
    """The last `limit` bytes of encoded texts and pictures, by content hash; the longest unused
    goes first. Of one model's encoders alone. Safe to use from several threads."""

    def __init__(self, limit: int = MEMO_BYTES) -> None:
        self.limit = limit
        self._held: OrderedDict[str, Encoded] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: str) -> Encoded | None:
        """What was kept under the content hash, or None."""
        with self._lock:
            found = self._held.get(key)
            if found is not None:
                self._held.move_to_end(key)
            return found

    def keep(self, key: str, value: Encoded) -> None:
        """Remember; what is larger than the limit is not kept."""
        with self._lock:
            old = self._held.pop(key, None)
            self._bytes += _size(value) - (_size(old) if old is not None else 0)
            self._held[key] = value
            while self._bytes > self.limit:
                _, gone = self._held.popitem(last=False)
                self._bytes -= _size(gone)


def _size(value: Encoded) -> int:
    arrays = (value.tokens, value.text_embedding, value.regions, value.image_embedding)
    return sum(array.nbytes for array in arrays if array is not None)
