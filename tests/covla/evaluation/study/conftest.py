"""A small posts folder with three labels in every split, and settings of its own."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from covla.posts.folder import write_folder
from covla.posts.synthetic.generate import generate
from covla.settings import Settings
from tests.conftest import FreshState

LABELS = ["home", "school", "beach_coast"]


@pytest.fixture(scope="session")
def posts_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48 labelled posts of split train, 24 of val, 20 unlabelled ones."""
    path = tmp_path_factory.mktemp("study") / "posts"
    week = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 8, tzinfo=UTC)
    items = []
    for i, (item, picture) in enumerate(generate(92, 3, *week, labels=LABELS)):
        split = "train" if i < 48 else "val" if i < 72 else "unlabelled"
        label = None if split == "unlabelled" else item.label
        kind = "natural" if i % 2 else "same_category"
        items.append((replace(item, split=split, label=label, pair_type=kind), picture))
    write_folder(path, items)
    return path


@pytest.fixture(scope="session")
def study_settings(tmp_path_factory: pytest.TempPathFactory, fresh_state: FreshState) -> Settings:
    """One state folder for the tests of studies: posts are encoded once."""
    return Settings(state=fresh_state(tmp_path_factory.mktemp("study-state")), device="cpu")
