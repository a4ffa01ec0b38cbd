"""What was encoded lately, bounded by its bytes."""

import numpy as np

from covla.inference.cache import Memo
from covla.model.encoders import Encoded


def _text(rows: int) -> Encoded:
    return Encoded(np.zeros((rows, 10), np.float32), None, None, None)  # rows x 40 bytes


def test_the_longest_unused_goes_first() -> None:
    memo = Memo(limit=100)
    memo.keep("a", _text(1))
    memo.keep("b", _text(1))
    assert memo.get("a") is not None
    memo.keep("c", _text(1))
    assert memo.get("b") is None
    assert memo.get("a") is not None
    assert memo.get("c") is not None


def test_what_is_kept_twice_counts_once_and_what_is_too_large_is_not_kept() -> None:
    memo = Memo(limit=100)
    for _ in range(5):
        memo.keep("a", _text(1))
    memo.keep("b", _text(1))
    assert memo.get("a") is not None
    memo.keep("huge", _text(3))
    assert memo.get("huge") is None
    memo.keep("c", _text(2))
    assert memo.get("c") is not None
