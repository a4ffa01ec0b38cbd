from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from covla.errors import TooFew
from covla.model.encoders import Encoders
from covla.settings import Settings
from covla.time_range import TimeRange
from features.backfill import backfill
from features.feature_store import feature_store
from monitoring.live_posts import live_posts
from tests.conftest import RunCommand
from tests.features.posts import START, make_post, store

pytestmark = pytest.mark.slow
DAY = TimeRange(START, START + timedelta(days=1))


def test_the_same_backfill_overwrites_its_own_rows_and_is_not_live(
    offline_settings: Settings, encoders: Encoders, model_folder: Path, run_command: RunCommand
) -> None:
    with pytest.raises(TooFew, match="no post in the window"):
        backfill(DAY, str(model_folder), offline_settings)
    store(offline_settings, encoders, [make_post(i) for i in range(6)])
    as_of = (DAY.end + timedelta(days=2000)).isoformat()  # after the posts were ingested
    command = ("backfill", "--window", DAY, "--as-of", as_of, "--model", model_folder, "--json")

    first = run_command(offline_settings, *command)
    assert first.returncode == 0, first.stderr
    assert (first.json["predictions"], first.json["errors"]) == (6, 0)
    files = {
        p: p.read_bytes()
        for p in (offline_settings.lake / "predictions").rglob("backfill*.parquet")
    }
    assert len(files) == 1
    assert run_command(offline_settings, *command).json == first.json
    assert {path: path.read_bytes() for path in files} == files

    entities = pd.DataFrame({"post_id": ["p1"], "event_timestamp": [pd.Timestamp(as_of)]})
    found = feature_store(offline_settings).get_historical_features(
        entities, features=["prediction:model_version"]
    )
    assert found.to_df()["model_version"].tolist() == [first.json["model_version"]]
    with pytest.raises(TooFew):
        live_posts(TimeRange(START, DAY.end + timedelta(days=3000)), offline_settings)
