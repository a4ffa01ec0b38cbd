"""The newest event time of a key wins, in any order, with any repetition, on both stores."""

from datetime import timedelta
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from covla.settings import Settings
from features.feature_store import feature_store
from tests.features.posts import START

pytestmark = pytest.mark.slow
EVENTS = [(f"p{key}", version) for key in range(3) for version in range(4)]


@pytest.fixture(scope="module", params=["sqlite", "redis"])
def feast_store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """An applied store of each kind."""
    state = tmp_path_factory.mktemp("state")
    if request.param == "sqlite":
        return feature_store(Settings(state=state))
    address = request.getfixturevalue("valkey")
    return feature_store(Settings(state=state, online_store="redis", redis_url=address))


def write(store: Any, events: list[tuple[str, int]], run: int, text: str = "version") -> None:
    """Label rows whose event times differ by less than a second, as versions of a post may."""
    frame = pd.DataFrame(
        {
            "post_id": [f"{key}-{run}" for key, _ in events],
            "event_timestamp": [START + timedelta(microseconds=version) for _, version in events],
            "created_timestamp": [START] * len(events),
            "label": [f"{text}{version}" for _, version in events],
            "source": ["test"] * len(events),
        }
    )
    store.write_to_online_store("post_label", frame)


def read(store: Any, run: int) -> list[str | None]:
    rows = [{"post_id": f"p{key}-{run}"} for key in range(3)]
    values = store.get_online_features(features=["post_label:label"], entity_rows=rows).to_dict()
    return list(values["label"])


_runs = iter(range(10**9))


@hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    extra=st.lists(st.sampled_from(EVENTS), max_size=8),
    order=st.randoms(use_true_random=False),
    size=st.integers(1, 20),
)
def test_any_order_and_repetition_ends_with_the_newest(
    feast_store: Any, extra: list[tuple[str, int]], order: Any, size: int
) -> None:
    run = next(_runs)
    events = EVENTS + extra
    order.shuffle(events)
    for first in range(0, len(events), size):
        write(feast_store, events[first : first + size], run)
    assert read(feast_store, run) == ["version3"] * 3


def test_a_corrected_row_of_the_same_time_lands(feast_store: Any) -> None:
    run = next(_runs)
    write(feast_store, EVENTS, run)
    write(feast_store, [("p1", 3)], run, text="corrected")
    assert read(feast_store, run) == ["version3", "corrected3", "version3"]
