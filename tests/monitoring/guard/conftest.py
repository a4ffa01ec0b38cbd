"""A real registry with a good and a bad version, and a real lake."""

from pathlib import Path

import pytest

from covla.model.encoders import load_encoders
from covla.registry.registry import Registry
from covla.settings import Settings
from tests.features.posts import store
from tests.monitoring.guard.bad_version import with_other_labels
from tests.monitoring.guard.live_release import POSTS


@pytest.fixture
def registry(offline_settings: Settings, model_folder: Path, tmp_path: Path) -> Registry:
    """Version 1 is the champion; version 2 is bad; the lake has the posts, of this year."""
    settings = offline_settings.model_copy(update={"train_window_hours": 24 * 366})
    registry = Registry(settings)
    assert registry.register(model_folder) == "1"
    assert registry.register(with_other_labels(model_folder, tmp_path / "bad")) == "2"
    registry.promote("1", force=True)
    store(settings, load_encoders("base", settings), POSTS)
    return registry
