"""Following the registry: a thread looks at it, and what works with the champion's model, or with
that of another alias, takes up a new one."""

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable

from covla.registry.releases import ReadOnlyRegistry
from covla.settings import Settings

SECONDS = 5.0  # between two looks at the registry
RETRY_SECONDS = 60.0  # before a version that could not be loaded is tried again

log = logging.getLogger(__name__)


class Follower(ABC):
    """Looks at the registry every few seconds. When that fails, what works goes on; the reason is
    logged and kept in `error`."""

    name: str  # of the thread, and of what goes on, in the log
    trouble = "the champion cannot be followed; the old one goes on"

    def __init__(self, *, interval: float = SECONDS) -> None:
        """`interval` is in seconds."""
        self._interval = interval
        self._failed: tuple[str, float] | None = None  # a version, and when
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.error: str | None = None

    @abstractmethod
    def check(self) -> bool:
        """Take up what the registry says now; True if that changed anything.

        Raises:
            CovlaError: a version cannot be loaded.
            ServiceUnavailable: the registry does not answer.
        """

    def _try(self, take: Callable[[str], bool], version: str) -> bool:
        """Call `take`, unless the same version failed lately."""
        if self._failed_lately(version):
            return False
        try:
            changed = take(version)
        except Exception:
            self._failed = (version, time.monotonic())
            raise
        self._failed = None
        return changed

    def _failed_lately(self, version: str) -> bool:
        if self._failed is None or self._failed[0] != version:
            return False
        return time.monotonic() - self._failed[1] < RETRY_SECONDS

    def start(self) -> None:
        """Follow in a thread until `stop`."""
        self._stop.clear()
        self._thread = threading.Thread(target=self._watch, name=f"covla-{self.name}", daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._stop.wait(self._interval):
            self.look()

    def look(self) -> None:
        """Check; an error is logged once, and kept in `error` until it is over."""
        try:
            self.check()
            if self._failed is None:
                self.error = None
        except Exception as error:  # what works must go on, whatever it is
            if self.error != str(error):
                log.exception("%s: %s", self.name, self.trouble)
            self.error = str(error)

    def stop(self) -> None:
        """End the thread; what works stays usable."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=60)
            self._thread = None


class ChampionFollower(Follower):
    """What works with the champion. When the registry is away or a new version cannot be loaded,
    the old one goes on."""

    def __init__(self, settings: Settings, *, interval: float = SECONDS) -> None:
        """`interval` is in seconds."""
        super().__init__(interval=interval)
        self._champion = ReadOnlyRegistry(settings).champion

    @abstractmethod
    def _working(self) -> str | None:
        """The version that works now."""

    @abstractmethod
    def _take(self, version: str) -> bool:
        """Load a version and put it in the old one's place, in one assignment; whether anything
        changed."""

    def check(self) -> bool:
        """Take up a champion that is another version than the one that works; True if that changed
        anything.

        Raises:
            CovlaError: it cannot be loaded.
            ServiceUnavailable: the registry does not answer.
        """
        wanted = self._champion()
        if wanted is None or wanted == self._working():
            self._failed = None
            return False
        return self._try(self._take, wanted)
