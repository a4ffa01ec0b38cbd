"""What ingest encodes with: a real registry, real Kafka, real towers."""

import shutil
import threading
import time
from pathlib import Path

import pytest

from covla.errors import CovlaError
from covla.inference.predictor import Predictor
from covla.kafka import clients
from covla.model.encoders import Encoders
from covla.registry.encoder_id import encoder_id
from covla.registry.model_folder import MANIFEST, write_manifest
from covla.registry.registry import Registry
from covla.settings import Settings
from features.champion_encoders import ChampionEncoders
from features.ingest import Ingest
from monitoring.rows import window_rows
from tests.covla.conftest import untrained_tiny
from tests.features.posts import make_post
from tests.features.test_ingest import DAY, send

pytestmark = pytest.mark.slow


def promote(settings: Settings, folder: Path) -> str:
    registry = Registry(settings)
    version = registry.register(folder)
    return registry.promote(version, force=True)


def test_the_preset_until_there_is_a_champion_then_its_towers(
    offline_settings: Settings, encoders: Encoders, tiny_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(CovlaError, match="cannot load .*no-such"):
        ChampionEncoders(offline_settings.model_copy(update={"preset": str(tmp_path / "no-such")}))
    followed = ChampionEncoders(offline_settings)
    assert followed.current().id == encoders.id
    assert not followed.check()

    promote(offline_settings, tiny_folder)
    assert followed.check()
    tiny = followed.current()
    assert tiny.id == encoder_id(tiny_folder)
    assert ChampionEncoders(offline_settings).current() is tiny  # shared in one process
    assert Predictor.load("champion", offline_settings).encoders is tiny

    same = tmp_path / "same"
    shutil.copytree(tiny_folder, same)
    (same / "metrics.json").write_text('{"accuracy": 0.2}')
    (same / MANIFEST).unlink()
    write_manifest(same)
    promote(offline_settings, same)
    assert not followed.check()
    assert followed.current() is tiny


def test_the_old_towers_go_on_when_the_registry_or_the_new_version_fails(
    offline_settings: Settings, tiny_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    promote(offline_settings, tiny_folder)
    followed = ChampionEncoders(offline_settings, interval=0.05)
    before, kept = followed.current(), set(offline_settings.state.rglob("model.safetensors"))
    registry = Registry(offline_settings)
    broken = registry.register(untrained_tiny(tmp_path / "other", 1))
    for path in set(offline_settings.state.rglob("model.safetensors")) - kept:
        path.write_bytes(path.read_bytes()[:-1])
    registry.promote(broken, force=True)
    followed.start()
    deadline = time.monotonic() + 60
    while followed.error is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert "model.safetensors" in followed.error
    assert followed.current() is before
    time.sleep(0.5)  # some looks more
    assert caplog.text.count("the old one goes on") == 1
    registry.rollback()
    while followed.error is not None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    followed.stop()
    assert followed.current() is before


def test_posts_after_a_promotion_are_encoded_by_the_new_champion(
    settings: Settings, encoders: Encoders, tiny_folder: Path
) -> None:
    topics = clients.ensure_topics(settings)
    worker = Ingest(settings)
    assert worker.sink.encoders.id == encoders.id
    ended = threading.Thread(target=worker.run)
    ended.start()

    def ingested(first: int, last: int) -> None:
        posts = [make_post(i, image=False) for i in range(first, last)]
        send(settings, topics.posts, [(post.post_id, post.to_json()) for post in posts])
        deadline = time.monotonic() + 60
        while worker.stats.posts_ingested < last:
            assert time.monotonic() < deadline
            assert ended.is_alive()
            time.sleep(0.1)

    try:
        ingested(0, 20)
        promote(settings, tiny_folder)
        deadline = time.monotonic() + 60
        while worker._champions is None or worker._champions.current().id == encoders.id:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        ingested(20, 40)
    finally:
        worker.stop.set()
        ended.join(timeout=60)
    rows = window_rows(DAY, settings).set_index("post_id")["encoder_id"]
    assert set(rows[[f"p{i}" for i in range(20)]]) == {encoders.id}
    assert set(rows[[f"p{i}" for i in range(20, 40)]]) == {encoder_id(tiny_folder)}
