"""Who reads for long and who removes files take turns: a lock of the state folder that any number
of readers share, and one remover has alone. The kernel frees it when its process ends, however."""

import fcntl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from covla.errors import ServiceUnavailable
from covla.settings import Settings


@contextmanager
def reading(settings: Settings) -> Iterator[None]:
    """Held by a command that works on posts, so that what it reads stays; waits for a remover."""
    with _locked(settings, fcntl.LOCK_SH):
        yield


@contextmanager
def removing(settings: Settings) -> Iterator[None]:
    """Held while files are removed.

    Raises:
        ServiceUnavailable: somebody reads or removes now.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(_locked(settings, fcntl.LOCK_EX | fcntl.LOCK_NB))
        except BlockingIOError:
            raise ServiceUnavailable(
                f"a command works on the posts of {settings.state}: nothing is removed meanwhile",
                hint="Start it again when that has ended, such as a training",
            ) from None
        yield


@contextmanager
def _locked(settings: Settings, how: int) -> Iterator[None]:
    folder = settings.state.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".removal.lock").open("w") as file:
        fcntl.flock(file, how)
        yield
