"""The newest event time of a key wins, in any order, with any repetition, on both stores."""

import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from covla.errors import ServiceUnavailable
from covla.settings import Settings
from features import online_store
from features.feature_store import feature_store
from features.sink import write_online
from features.tables import LABELS
from tests.features.posts import START

pytestmark = pytest.mark.slow
EVENTS = [(f"p{key}", version) for key in range(3) for version in range(4)]


@pytest.fixture(scope="module")
def feast_store(stores: Settings) -> Any:
    """An applied store of each kind."""
    return feature_store(stores)


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


def test_two_writers_at_once_end_with_the_newest(stores: Settings, feast_store: Any) -> None:
    """Each as a worker of its own has it: its own connection."""
    together, failed = threading.Barrier(2), []
    runs = [next(_runs) for _ in range(60)]

    def worker(version: int) -> None:
        own = feature_store.__wrapped__(stores)
        try:
            for run in runs:
                together.wait(timeout=60)
                write(own, [(f"p{key}", version) for key in range(3)], run)
        except Exception as error:  # noqa: BLE001 - shown by the test
            failed.append(error)
            together.abort()

    threads = [threading.Thread(target=worker, args=(version,)) for version in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert [read(feast_store, run) for run in runs] == [["version1"] * 3] * len(runs)


def test_a_writer_that_outlasts_its_lock_is_told_to_write_again(
    valkey: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = feature_store(Settings(state=tmp_path, online_store="redis", redis_url=valkey))
    row = {
        "post_id": "slow", "event_timestamp": START, "created_timestamp": START,
        "label": "beach", "source": "test",
    }  # fmt: skip
    rows = pa.Table.from_pylist([row], schema=LABELS).select(list(row))
    whole = online_store.feast_api.RedisOnlineStore.online_write_batch

    def held_up(*arguments: Any) -> None:
        time.sleep(0.5)
        whole(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(online_store, "LOCK_SECONDS", 0.1)
        patch.setattr(online_store.feast_api.RedisOnlineStore, "online_write_batch", held_up)
        with pytest.raises(ServiceUnavailable, match="lock"):
            write_online(store, "post_label", rows)
    write_online(store, "post_label", rows)  # as ingest does, and the lock is free
