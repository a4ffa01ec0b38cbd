"""Which versions are beside the champion: followed in the registry, loaded while others answer."""

import logging
from collections.abc import Callable

from covla.inference.predictor import Predictor
from covla.registry.follow import SECONDS, Follower
from covla.registry.rollout import Rollout, read_rollout
from covla.settings import Settings
from services.canary import Canary, Routed
from services.champion import ChampionWatcher
from services.model import Model
from services.rollout_metrics import ROLES

log = logging.getLogger(__name__)
Load = Callable[[str], Predictor]


class CanaryFollower(Follower):
    """`beside(champion)` is champion and canary as one model. Call it once per batch.

    A canary that cannot be loaded is none: the champion answers, the reason is logged and kept in
    `error`. While the registry is away, the canary stays as it is.
    """

    name = "canary"
    trouble = "the canary cannot be followed"

    def __init__(
        self,
        settings: Settings,
        load: Load,
        champion: Callable[[], str],
        *,
        interval: float = SECONDS,
    ) -> None:
        """`load` gives a warm model of a version, `champion` the version that this process has as
        champion, which is the registry's only after a swap."""
        super().__init__(interval=interval)
        self._settings = settings
        self._load = load
        self._champion = champion
        self._current: Canary | None = None

    def beside(self, champion: Model) -> Model:
        """The model for the next batch."""
        canary = self._current
        if canary is None or canary.model.version == champion.version:
            return champion
        return Routed(champion, canary)

    def loaded(self, version: str) -> Predictor | None:
        """The canary's model, if it is of this version."""
        model = None if self._current is None else self._current.model
        return model if isinstance(model, Predictor) and model.version == version else None

    def check(self) -> bool:
        """Take up the registry's canary and weight; True if that changed anything.

        Raises:
            CovlaError: it cannot be loaded, or has no weight.
            ServiceUnavailable: the registry does not answer.
        """
        wanted, now = read_rollout(self._settings), self._current
        if now is not None and wanted.canary == now.model.version:
            if wanted.weight == now.weight:
                return False
            self._set(Canary(now.model, wanted.weight))
            return True
        if now is not None and wanted.champion == now.model.version != self._champion():
            return False  # it was promoted: its posts stay with it until it is the champion here
        self._set(None)  # before another one is loaded: it may have been taken off for a reason
        if wanted.canary is None:
            self._failed = None
            return now is not None
        return self._try(lambda version: self._take(version, wanted), wanted.canary)

    def _take(self, version: str, wanted: Rollout) -> bool:
        self._set(Canary(self._load(version), wanted.weight))
        log.info("version %s is the canary, for %g of the posts", version, wanted.weight)
        return True

    def _set(self, canary: Canary | None) -> None:
        self._current = canary
        ROLES.canary = None if canary is None else (canary.model.version, canary.weight)


class Router:
    """The champion, and the canary beside it, of one process."""

    def __init__(
        self,
        settings: Settings,
        champion: ChampionWatcher,
        load: Load,
        *,
        interval: float = SECONDS,
    ) -> None:
        """`load` gives a warm model of a version; `interval` is in seconds."""
        self._champion = champion
        self._canary = CanaryFollower(
            settings, load, lambda: champion.current().version, interval=interval
        )
        champion.loaded = self._canary.loaded

    @property
    def error(self) -> str | None:
        """Why the canary cannot be followed."""
        return self._canary.error

    def current(self) -> Model:
        """The model for the next batch: a champion or a canary is taken up between two."""
        return self._canary.beside(self._champion.current())

    def start(self) -> None:
        """Load the champion, and the canary where it can be, and follow both.

        Raises:
            CovlaError: there is no champion, or it cannot be loaded.
            ServiceUnavailable: the registry does not answer.
        """
        self._champion.load()
        self._canary.look()  # the same posts from the first one on
        self._champion.start()
        self._canary.start()

    def stop(self) -> None:
        """Follow no longer; what is loaded stays usable."""
        self._canary.stop()
        self._champion.stop()
