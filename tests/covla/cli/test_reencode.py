"""`covla features backfill`, and what `covla promote` and `covla rollback` do with other towers."""

from datetime import timedelta
from pathlib import Path

import pytest

from covla.model.encoders import Encoders
from covla.registry.encoder_id import encoder_id
from covla.registry.registry import Registry
from covla.settings import Settings
from covla.time_range import TimeRange
from covla.times import now
from monitoring.rows import window_rows
from tests.conftest import RunCommand
from tests.covla.conftest import untrained_tiny
from tests.features.posts import START, make_post, store
from tests.features.test_ingest import DAY

pytestmark = pytest.mark.slow
HINT = "`covla features backfill --window START/END`"


def test_a_window_is_encoded_anew_once(
    offline_settings: Settings, encoders: Encoders, tiny_folder: Path, run_command: RunCommand
) -> None:
    store(offline_settings, encoders, [make_post(i) for i in range(6)])
    none = run_command(offline_settings, "features", "backfill", "--window", DAY, "--json")
    assert (none.returncode, none.json) == (2, {"skipped": none.json["skipped"]})
    command = ("features", "backfill", "--window", DAY, "--model", tiny_folder, "--json")
    first = run_command(offline_settings, *command, "--max", 4)
    assert first.returncode == 0, first.stderr
    assert (first.json["posts"], first.json["left"], first.json["skipped"]) == (4, 2, 0)
    assert first.json["encoder_id"] == encoder_id(tiny_folder)
    second = run_command(offline_settings, *command)
    assert (second.json["posts"], second.json["there"]) == (2, 4)
    assert run_command(offline_settings, *command).json["posts"] == 0


def test_a_promotion_encodes_the_last_days_first_and_a_rollback_says_how_to(
    offline_settings: Settings,
    encoders: Encoders,
    tiny_folder: Path,
    tmp_path: Path,
    run_command: RunCommand,
) -> None:
    ago = (now() - START) / timedelta(minutes=1)
    posts = [make_post(i, minutes=ago - i, image=i % 2 > 0) for i in range(8)]
    store(offline_settings, encoders, posts)
    window = TimeRange(START, now())

    def serves() -> tuple[str | None, set[str]]:
        champion = Registry(offline_settings).champion()
        return champion, set(window_rows(window, offline_settings)["encoder_id"])

    first = run_command(offline_settings, "promote", tiny_folder, "--force", "--json")
    assert first.returncode == 0, first.stderr
    assert "promote: 8 posts" in first.stderr
    assert first.json["promoted"]
    one, two = encoder_id(tiny_folder), encoder_id(untrained_tiny(tmp_path / "two", 2))
    assert serves() == ("1", {one})

    blobs = offline_settings.state / "blobs"
    blobs.rename(blobs.with_name("away"))
    blobs.touch()  # a store that does not answer
    failed = run_command(offline_settings, "promote", tmp_path / "two", "--force", "--json")
    blobs.unlink()
    blobs.with_name("away").rename(blobs)
    assert failed.returncode == 3, failed.stderr
    assert "version 2 is not promoted, as the features are not ready for it" in failed.stderr
    assert "`covla promote 2`" in failed.stderr
    assert serves() == ("1", {one})

    second = run_command(offline_settings, "promote", tmp_path / "two", "--force", "--json")
    assert second.returncode == 0, second.stderr
    assert serves() == ("2", {two})
    again = run_command(offline_settings, "promote", "2", "--json")
    assert "posts of" not in again.stderr

    back = run_command(offline_settings, "rollback", "--json")
    assert back.json == {"champion": "1", "rolled_back": "2"}
    assert f"version 1 has other towers: {HINT} encodes earlier posts anew" in back.stderr
    assert serves() == ("1", {two})  # it did not wait for them
    done = run_command(offline_settings, "features", "backfill", "--window", window, "--json")
    assert done.json["posts"] == 8
    assert serves() == ("1", {one})
