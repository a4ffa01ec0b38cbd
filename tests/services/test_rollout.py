"""The canary of a real registry is followed while the champion serves."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from covla.registry.rollout import Rollouts
from covla.schemas.post import SocialPost
from covla.schemas.prediction import Prediction
from covla.settings import Settings
from covla.times import now
from services.canary import place_of
from services.champion import ChampionWatcher
from services.rollout import CanaryFollower, Router
from services.rollout_metrics import ROLES
from tests.covla.conftest import untrained_tiny

pytestmark = pytest.mark.slow

POSTS = [SocialPost(post_id=f"p{i}", created_at=now(), text=f"at home {i}") for i in range(40)]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two models that differ."""
    root = tmp_path_factory.mktemp("models")
    return [untrained_tiny(root / str(seed), seed) for seed in range(2)]


@pytest.fixture
def registry(offline_settings: Settings, folders: list[Path]) -> Rollouts:
    """Version 1 is the champion, version 2 another one."""
    registry = Rollouts(offline_settings)
    for folder in folders:
        registry.register(folder)
    registry.promote("1", force=True)
    return registry


@pytest.fixture
def watcher(registry: Rollouts) -> ChampionWatcher:
    return ChampionWatcher(registry.settings, interval=0.05)


@pytest.fixture
def router(registry: Rollouts, watcher: ChampionWatcher) -> Iterator[Router]:
    """Champion and canary of a process."""
    router = Router(registry.settings, watcher, watcher.warm, interval=0.05)
    yield router
    router.stop()


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def answered_by(router: Router) -> list[str]:
    results = router.current().predict(POSTS)
    return [one.model_version for one in results if isinstance(one, Prediction)]


def split(weight: float) -> list[str]:
    return ["2" if place_of(post.post_id) < weight else "1" for post in POSTS]


def test_a_canary_is_taken_up_moved_and_taken_off(registry: Rollouts, router: Router) -> None:
    registry.start_canary("2", 0.2, force=True)
    router.start()
    assert answered_by(router) == split(0.2)  # from the first post on
    assert ROLES.canary == ("2", 0.2)
    registry.start_canary("2", 0.7, force=True)
    _wait(lambda: answered_by(router) == split(0.7))
    registry.end("canary")
    _wait(lambda: answered_by(router) == split(0.0))
    assert ROLES.canary is None
    registry.start_canary("2", 0.7, force=True)
    _wait(lambda: answered_by(router) == split(0.7))


def test_its_promotion_moves_no_post_back(registry: Rollouts, router: Router) -> None:
    registry.start_canary("2", 0.5, force=True)
    router.start()
    registry.promote("2", force=True)
    theirs = [i for i, version in enumerate(split(0.5)) if version == "2"]

    def promoted() -> bool:
        versions = answered_by(router)
        assert {versions[i] for i in theirs} == {"2"}
        return set(versions) == {"2"}

    _wait(promoted)


def test_a_promoted_canary_stays_until_the_champion_is_swapped(
    registry: Rollouts, watcher: ChampionWatcher
) -> None:
    watcher.load()
    canary = CanaryFollower(registry.settings, watcher.warm, lambda: watcher.current().version)
    registry.start_canary("2", 0.5, force=True)
    assert canary.check()
    model = canary.loaded("2")
    watcher.loaded = canary.loaded
    registry.promote("2", force=True)
    assert not canary.check()
    assert canary.loaded("2") is model
    assert watcher.check()
    assert watcher.current() is model  # and is not loaded a second time
    assert canary.check()
    assert canary.loaded("2") is None


def test_a_canary_that_cannot_be_loaded_is_none(
    registry: Rollouts, router: Router, caplog: pytest.LogCaptureFixture
) -> None:
    (stored,) = {
        path
        for path in registry.settings.state.rglob("model.safetensors")
        if registry.resolve("2")[1].joinpath(path.name).read_bytes() == path.read_bytes()
        and "cache" not in path.parts
    }
    stored.write_bytes(stored.read_bytes()[:-1])
    for cached in (registry.settings.cache / "models").iterdir():
        if cached.name == registry.resolve("1")[1].name:
            continue
        (cached / "model.safetensors").unlink()
    registry.start_canary("2", 0.5, force=True)
    router.start()
    assert answered_by(router) == split(0.0)
    assert "model.safetensors" in str(router.error)
    time.sleep(0.5)  # ten looks
    assert caplog.text.count("the canary cannot be followed") == 1
    registry.end("canary")
    _wait(lambda: router.error is None)
