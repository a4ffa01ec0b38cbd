"""Which version serves: a thread checks the registry, loads a new champion, and swaps it in."""

import logging
import threading
import time
from collections.abc import Callable

from covla.errors import CovlaError
from covla.inference.predictor import ContextSource, Predictor
from covla.registry.registry import Registry
from covla.settings import Settings

RETRY_SECONDS = 60.0

log = logging.getLogger(__name__)


class ChampionWatcher:
    """`current()` is the champion's Predictor. Call it once per batch, for one version.

    A new champion is loaded and warmed up while the old one serves; the swap is one assignment,
    so nothing is dropped and no request waits. When the registry is away or the new version
    cannot be loaded, the old one goes on and the reason is logged and kept in `error`.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        context: ContextSource | None = None,
        interval: float = 5.0,
        swapped: Callable[[Predictor], None] = lambda predictor: None,
    ) -> None:
        """`swapped` is called, in the watching thread, after each change of version."""
        self._settings = settings
        self._context = context
        self._interval = interval
        self._swapped = swapped
        self._registry = Registry(settings)
        self._current: Predictor | None = None
        self._refused: tuple[str, float] | None = None  # a version that failed, and when
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.error: str | None = None

    def current(self) -> Predictor:
        """The Predictor for the next batch.

        Raises:
            CovlaError: nothing is loaded yet (call `load` first).
        """
        if self._current is None:
            raise CovlaError("no champion is loaded yet", hint="Promote one: `covla promote ...`")
        return self._current

    def load(self) -> Predictor:
        """Load the champion now, in this thread.

        Raises:
            CovlaError: there is no champion, or it cannot be loaded.
            ServiceUnavailable: the registry does not answer.
        """
        predictor = Predictor.load("champion", self._settings, self._context)
        predictor.warm_up()
        self._current = predictor
        return predictor

    def check(self) -> bool:
        """Swap in the champion when it is another version than the current one; True if so.

        Raises:
            CovlaError: the registry does not answer, or the new version cannot be loaded.
        """
        wanted = self._registry.champion()
        serving = self._current.version if self._current else None
        if wanted is None or wanted == serving:
            self._refused = None
            return False
        if self._failed_lately(wanted):
            return False
        try:
            predictor = Predictor.load(wanted, self._settings, self._context)
            predictor.warm_up()
        except Exception:
            self._refused = (wanted, time.monotonic())
            raise
        self._current, self._refused = predictor, None
        log.info("version %s serves, after %s", wanted, serving)
        self._swapped(predictor)
        return True

    def _failed_lately(self, version: str) -> bool:
        if self._refused is None or self._refused[0] != version:
            return False
        return time.monotonic() - self._refused[1] < RETRY_SECONDS

    def start(self) -> None:
        """Watch in a thread until `stop`."""
        self._thread = threading.Thread(target=self._watch, name="covla-champion", daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._stop.wait(self._interval):
            try:
                self.check()
                if self._refused is None:
                    self.error = None
            except Exception as error:  # the old version must go on serving, whatever it is
                if self.error != str(error):
                    log.exception("the champion cannot be followed; the old version serves on")
                self.error = str(error)

    def stop(self) -> None:
        """End the thread; the current version stays usable."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=60)
            self._thread = None
