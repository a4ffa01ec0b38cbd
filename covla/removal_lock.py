"""Who reads for long and who removes files take turns: a lock of the state folder that any number
of readers share, and one remover has alone. The kernel frees it when its process ends, however."""

import fcntl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from covla.errors import ServiceUnavailable
from covla.settings import Settings
from covla.waiting import wait_until


@contextmanager
def reading(settings: Settings) -> Iterator[None]:
    """Held by a command that works on posts, so that what it reads stays; waits for a remover."""
    with _locked(settings, fcntl.LOCK_SH):
        yield


@contextmanager
def removing(settings: Settings, *, wait: float = 0.0) -> Iterator[None]:
    """Held while files are removed.

    Args:
        settings: the state folder.
        wait: seconds for those who read now; who comes meanwhile goes first.

    Raises:
        ServiceUnavailable: somebody still reads or removes.
    """
    with ExitStack() as stack:

        def taken() -> bool:
            try:
                stack.enter_context(_locked(settings, fcntl.LOCK_EX | fcntl.LOCK_NB))
            except BlockingIOError:
                return False
            return True

        wait_until(
            taken,
            timeout=wait,
            error=lambda _: ServiceUnavailable(
                f"a command works on the posts of {settings.state}: nothing is removed meanwhile",
                hint="Start it again when that has ended, such as a training, or give --wait",
            ),
        )
        yield


@contextmanager
def _locked(settings: Settings, how: int) -> Iterator[None]:
    folder = settings.state.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".removal.lock").open("w") as file:
        fcntl.flock(file, how)
        yield
