"""What ingest encodes with: the champion's towers, so that new posts can be compared with those
that the champion was trained on."""

import logging

from covla.inference.shared_encoders import shared_encoders
from covla.model.encoders import Encoders, load_encoders
from covla.model.runtime.backend import Backend
from covla.model.runtime.device import pick_device
from covla.registry.encoder_id import encoder_id, same_encoder
from covla.registry.follow import SECONDS, ChampionFollower
from covla.registry.registry import Registry
from covla.settings import Settings

log = logging.getLogger(__name__)


class ChampionEncoders(ChampionFollower):
    """`current()` are the champion's towers, or those of COVLA_PRESET while there is no champion.
    Call it once per batch, for one encoder.

    They run in f32 whatever the precision of the version, as its training did. New ones are loaded
    while the old ones work.
    """

    name = "encoders"

    def __init__(self, settings: Settings, *, interval: float = SECONDS) -> None:
        """
        Raises:
            CovlaError: the encoders cannot be loaded.
            ServiceUnavailable: the registry does not answer.
        """
        super().__init__(settings, interval=interval)
        self._settings = settings
        self._registry = Registry(settings)
        self._version = self._registry.champion()
        if self._version is None:
            self._current = load_encoders(settings.preset, settings)
        else:
            self._current = self._of(self._version)

    def current(self) -> Encoders:
        """Of the next batch."""
        return self._current

    def _working(self) -> str | None:
        return self._version

    def _take(self, version: str) -> bool:
        before = self._current
        self._current = self._of(version, before)
        self._version = version
        if self._current is before:
            return False
        log.info("posts are encoded by %s now, the towers of version %s", self._current.id, version)
        return True

    def _of(self, version: str, now: Encoders | None = None) -> Encoders:
        """The version's towers, which may be those that work now."""
        _, folder = self._registry.resolve(version)
        known = encoder_id(folder)
        if now is not None and known is not None and same_encoder(now.id, known):
            return now
        backend = Backend.default(pick_device(self._settings.device))
        return shared_encoders(folder, backend, self._settings)
