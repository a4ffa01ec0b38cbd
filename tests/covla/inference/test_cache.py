"""What was encoded lately, bounded by its bytes."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from covla.inference.cache import EncodedCache
from covla.model.encoders import Encoded


def _text(rows: int) -> Encoded:
    return Encoded(np.zeros((rows, 10), np.float32), None, None, None)  # rows x 40 bytes


def test_the_longest_unused_goes_first() -> None:
    cache = EncodedCache(limit=100)
    cache.put("a", _text(1))
    cache.put("b", _text(1))
    assert cache.get("a") is not None
    cache.put("c", _text(1))
    assert cache.get("b") is None
    assert cache.get("a") is not None
    assert cache.get("c") is not None


def test_what_is_kept_twice_counts_once_and_what_is_too_large_is_not_kept() -> None:
    cache = EncodedCache(limit=100)
    for _ in range(5):
        cache.put("a", _text(1))
    cache.put("b", _text(1))
    assert cache.get("a") is not None
    cache.put("huge", _text(3))
    assert cache.get("huge") is None
    cache.put("c", _text(2))
    assert cache.get("c") is not None


def test_a_cleared_cache_has_room_again() -> None:
    cache = EncodedCache(limit=100)
    cache.put("a", _text(2))
    cache.clear()
    assert cache.get("a") is None
    cache.put("b", _text(1))
    cache.put("c", _text(1))
    assert cache.get("b") is not None
    assert cache.get("c") is not None


def test_threads_share_it() -> None:
    cache = EncodedCache(limit=400)

    def use(number: int) -> int:
        found = 0
        for i in range(2000):
            key = str((number + i) % 20)
            found += cache.get(key) is not None
            cache.put(key, _text(1 + i % 3))
        return found

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(use, range(4))) > 0
    held = [value for value in (cache.get(str(i)) for i in range(20)) if value is not None]
    assert sum(value.tokens.nbytes for value in held if value.tokens is not None) <= 400
