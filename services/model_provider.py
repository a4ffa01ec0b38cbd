"""The model that a service answers with: a fixed version, or whoever is champion."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from covla.errors import PostError
from covla.schemas.post import SocialPost
from covla.schemas.prediction import Prediction
from covla.settings import Settings


class Model(Protocol):
    """What the services use of a Predictor."""

    @property
    def version(self) -> str: ...
    def predict(self, items: Sequence[SocialPost]) -> list[Prediction | PostError]: ...


Current = Callable[[], Model]
# Between two checks for a first champion.
CHAMPION_SECONDS = 2.0


def wait_for_champion(settings: Settings, log: Callable[[str], None]) -> None:
    """Return when there is a champion; logs once when there is none yet.

    Raises:
        ServiceUnavailable: the registry does not answer.
    """
    from covla.registry.registry import Registry

    registry = Registry(settings)
    if registry.champion() is None:
        log("there is no champion yet; waiting for a first `covla promote`")
        while registry.champion() is None:
            time.sleep(CHAMPION_SECONDS)


@contextmanager
def serving(settings: Settings, ref: str) -> Iterator[Current]:
    """A loaded and warm model with the online context, as a function to call once per batch.

    "champion" is followed: a new one takes over between two batches, and while it is loaded the
    old one serves. Any other reference stays what it is.

    Raises:
        CovlaError: there is no such model, or its files do not match their manifest.
        ServiceUnavailable: the registry does not answer.
    """
    from covla.inference.predictor import Predictor
    from features.online import OnlineContext
    from services.champion import ChampionWatcher

    context = OnlineContext(settings).priors
    if ref != "champion":
        predictor = Predictor.load(ref, settings, context)
        predictor.warm_up()
        yield lambda: predictor
        return
    watcher = ChampionWatcher(settings, context=context)
    watcher.load()
    watcher.start()
    try:
        yield watcher.current
    finally:
        watcher.stop()
