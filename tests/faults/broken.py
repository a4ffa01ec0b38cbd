"""A real model whose engine breaks, and works again."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from covla.model.encoders import Encoders


class Fuse:
    """Lets `batches` runs of the encoders through, then raises until it is mended."""

    def __init__(self, batches: int, error: BaseException) -> None:
        self.left = batches
        self.error = error
        self.raised = 0

    def mend(self) -> None:
        self.left = 1_000_000

    def pass_one(self) -> None:
        if self.left <= 0:
            self.raised += 1
            raise self.error
        self.left -= 1


@contextmanager
def fused(encoders: Encoders, batches: int, error: BaseException) -> Iterator[Fuse]:
    """`encoders`, broken after `batches` runs."""
    fuse, encode = Fuse(batches, error), encoders.encode

    def guarded(items: Sequence[Any]) -> Any:
        fuse.pass_one()
        return encode(items)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoders, "encode", guarded)
        yield fuse
