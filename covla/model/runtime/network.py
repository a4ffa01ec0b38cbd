"""What every engine gives: a network that runs items."""

import os
from collections.abc import Iterable
from typing import Protocol

from covla.arrays import Array

Arrays = tuple[Array, ...]


class Network(Protocol):
    """A network that is ready to run."""

    def run(self, items: Iterable[Arrays]) -> list[Arrays]:
        """The outputs of each item, in order. Inputs and outputs have a batch axis of length 1.

        The outputs of an item do not depend on the others. `items` is read while the network
        runs, so it may be a generator that makes them ready. One call at a time.
        """


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0))
