"""Two presets through the whole loop while one ingest runs: features, training, champion, drift."""

import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from covla.model.encoders import load_encoders
from covla.model.towers import base_tokenizer
from covla.settings import Settings
from covla.time_range import TimeRange
from covla.times import now
from covla.waiting import wait_until
from features.lake import Lake
from monitoring.rows import window_rows
from tests.conftest import RunCommand

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

POSTS = 160


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dual encoder of random weights, small, as a preset of one's own."""
    import torch
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

    folder = tmp_path_factory.mktemp("clip")
    tokenizer = base_tokenizer()
    small = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1}
    heads = {"num_attention_heads": 2}
    torch.manual_seed(7)
    config = CLIPConfig(
        text_config=small | heads | {"vocab_size": len(tokenizer), "max_position_embeddings": 64},
        vision_config=small | heads | {"image_size": 64, "patch_size": 16},
        projection_dim=16,
    )
    CLIPModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    CLIPImageProcessor(
        size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64}
    ).save_pretrained(folder)
    return folder


@pytest.fixture
def ingest(settings: Settings) -> Iterator["subprocess.Popen[bytes]"]:
    """`covla ingest` from before the first champion on."""
    process = subprocess.Popen(
        [sys.executable, "-m", "covla.cli", "ingest"], env=settings.environment()
    )
    try:
        yield process
    finally:
        process.terminate()
        assert process.wait(timeout=60) == 0


def test_a_champion_with_other_towers_finds_its_features_and_gets_new_ones(
    settings: Settings, clip: Path, ingest: "subprocess.Popen[bytes]", run_command: RunCommand
) -> None:
    ids = [load_encoders(name, settings).id for name in ("base", str(clip))]
    end = now().replace(microsecond=0)
    history = TimeRange(end - timedelta(hours=2), end - timedelta(hours=1))
    live = TimeRange(history.end, end)

    def covla(*command: object) -> dict[str, object]:
        done = run_command(settings, *map(str, command), "--json", timeout=300)
        assert done.returncode == 0, done.stderr
        return done.json

    def published(window: TimeRange, seed: int) -> None:
        covla("publish", "--synthetic", POSTS, "--seed", seed, "--window", window)
        lake = Lake(settings)
        wait_until(
            lambda: len(set(lake.read("posts", window, ["post_id"])[0].to_pylist())) == POSTS,
            timeout=120,
            error=lambda _: AssertionError(f"ingest: {ingest.poll()}"),
        )

    def trained(preset: object) -> object:
        fast = ("--teacher", "none", "--epochs", 1, "--pretrain-epochs", 0)
        return covla("train", "--window", history, "--preset", preset, *fast)["folder"]

    def encoders(window: TimeRange) -> set[str]:
        return set(window_rows(window, settings)["encoder_id"])

    published(history, 1)
    covla("promote", trained("base"), "--force")
    assert encoders(history) == {ids[0]}
    then = now().isoformat()
    before = covla("drift", "--window", history, "--as-of", then, "--no-alert")

    promoted = covla("promote", trained(clip), "--force")
    assert (promoted["version"], promoted["champion_before"]) == ("2", "1")
    assert encoders(history) == {ids[1]}
    drift = covla("drift", "--window", history, "--no-alert")
    assert (drift["reference"], drift["rows"]) == ("2", {"window": POSTS, "reference": 128})
    old = ("drift", "--window", history, "--as-of", then, "--no-alert")
    refused = run_command(settings, *map(str, old), "--json")
    assert refused.returncode == 2
    assert "`covla features backfill" in refused.stderr
    assert covla(*old, "--reference", "1") == before  # the past is as it was

    probes, number = TimeRange(history.start - timedelta(hours=1), history.start), 100
    deadline = time.monotonic() + 120
    while ids[1] not in Lake(settings).read("posts", probes, ["encoder_id"])[0].to_pylist():
        assert time.monotonic() < deadline, "ingest goes on with the old towers"
        covla("publish", "--synthetic", 1, "--seed", number, "--window", probes)
        number += 1
    published(live, 2)
    assert encoders(live) == {ids[1]}
    assert covla("drift", "--window", live, "--no-alert")["reference"] == "2"
