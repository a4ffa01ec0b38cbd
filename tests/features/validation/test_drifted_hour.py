"""Drift is for the drift monitor: an hour that looks new must stay trainable."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from covla.posts.image_store import BlobStore
from covla.posts.preprocessing import PreparedPost, prepare
from covla.posts.synthetic import Drift, iter_posts
from covla.settings import Settings
from features.validation.limits import most_of, range_of
from features.validation.rules import RANGES, load_rules

pytestmark = pytest.mark.slow
START = datetime(2026, 5, 1, tzinfo=UTC)


def posts(seed: int, settings: Settings, drift: Drift | None = None) -> list[PreparedPost]:
    blobs, end = BlobStore(settings), START + timedelta(hours=1)
    made = iter_posts(200, seed, START, end, drift=drift)
    return [prepare(item.post, settings, blobs) for item, _ in made]


def measure(items: list[PreparedPost], column: str) -> np.ndarray:
    side, name = column.split("_", 1)
    measures = [getattr(item, f"{side}_quality") for item in items]
    return np.array([one[name] for one in measures if one.get(name) is not None])


@pytest.mark.parametrize("drift", ["image", "text"])
def test_the_drift_of_every_post_is_within_the_ranges(
    offline_settings: Settings, drift: Drift
) -> None:
    reference, changed = posts(1, offline_settings), posts(2, offline_settings, drift)
    rules = load_rules(offline_settings)
    for name, column in RANGES.items():
        low, high = range_of(measure(reference, column))
        seen = measure(changed, column)
        outside = int(((seen < low) | (seen > high)).sum())
        assert outside <= most_of(len(seen), rules[name].limit), name
