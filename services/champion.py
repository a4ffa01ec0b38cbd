"""Which version serves: the champion, loaded and warmed up while the one before it serves."""

import logging
from collections.abc import Callable

from covla.errors import CovlaError
from covla.inference.predictor import ContextSource, Predictor
from covla.registry.follow import SECONDS, ChampionFollower
from covla.settings import Settings

log = logging.getLogger(__name__)


class ChampionWatcher(ChampionFollower):
    """`current()` is the champion's Predictor. Call it once per batch, for one version.

    The swap is one assignment, so nothing is dropped and no request waits.
    """

    name = "champion"

    def __init__(
        self,
        settings: Settings,
        *,
        context: ContextSource | None = None,
        interval: float = SECONDS,
        swapped: Callable[[Predictor], None] = lambda predictor: None,
    ) -> None:
        """`swapped` is called, in the watching thread, after each change of version."""
        super().__init__(settings, interval=interval)
        self._settings = settings
        self._context = context
        self._swapped = swapped
        self._current: Predictor | None = None
        # A version that this process has loaded already, as that of a canary.
        self.loaded: Callable[[str], Predictor | None] = lambda version: None

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
        self._current = self.warm("champion")
        return self._current

    def warm(self, ref: str) -> Predictor:
        """A version that has predicted once.

        Raises:
            CovlaError: it cannot be loaded.
            ServiceUnavailable: the registry does not answer.
        """
        predictor = Predictor.load(ref, self._settings, self._context)
        predictor.warm_up()
        return predictor

    def _working(self) -> str | None:
        return self._current.version if self._current else None

    def _take(self, version: str) -> bool:
        before, predictor = self._working(), self.loaded(version) or self.warm(version)
        self._current = predictor
        log.info("version %s serves, after %s", version, before)
        self._swapped(predictor)
        return True
