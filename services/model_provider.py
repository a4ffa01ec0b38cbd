"""The model that a service answers with: a fixed version, or whoever is champion."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from covla.settings import Settings
from services.model import Current

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


def check_reference(settings: Settings) -> None:
    """Find the model that the settings name, and hold its files against their manifest.

    Raises:
        CovlaError: there is no such model, or its files do not match.
        ServiceUnavailable: the registry does not answer.
    """
    from covla.registry.registry import Registry

    Registry(settings).resolve(settings.model)


@contextmanager
def serving(settings: Settings, ref: str | tuple[str, Path]) -> Iterator[Current]:
    """A loaded and warm model with the online context, as a function to call once per batch.

    "champion" is followed: a new one takes over between two batches, and while it is loaded the
    old one serves; and so is a canary, which answers its share of the posts. Any other reference
    stays what it is.

    Args:
        ref: champion, a version number, a model folder, or a version and its folder.

    Raises:
        CovlaError: there is no such model, or its files do not match their manifest.
        ServiceUnavailable: the registry does not answer.
    """
    from covla.inference.predictor import Predictor
    from services.champion import ChampionWatcher
    from services.online_context import online_context
    from services.rollout import Router

    context = online_context(settings)
    if ref != "champion":
        predictor = Predictor.load(ref, settings, context)
        predictor.warm_up()
        yield lambda: predictor
        return
    watcher = ChampionWatcher(settings, context=context)
    router = Router(settings, watcher, watcher.warm)
    router.start()
    try:
        yield router.current
    finally:
        router.stop()
