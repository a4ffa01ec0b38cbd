"""A model folder and a lake that an earlier version wrote are read by this one.

tests/fixtures/earlier was written by the code before covla/ became packages (commit b5c3869):
`covla train --preset tiny --set width=32`, `covla ingest` of its posts, and what the model then
predicted for them. A change that must break them needs a migration, not a new fixture.
"""

import json
import shutil
from pathlib import Path

import pytest

from covla.inference.backfill import predict_lines, read_folder_lines
from covla.inference.predictor import Predictor
from covla.settings import Settings
from covla.time_range import TimeRange
from features.training_set import training_set

EARLIER = Path(__file__).parent / "fixtures" / "earlier"
pytestmark = pytest.mark.slow
DAY = TimeRange.parse("2026-05-01T00:00:00Z/2026-05-02T00:00:00Z")


def _lines(name: str) -> list[str]:
    return (EARLIER / name).read_text(encoding="utf-8").splitlines()


def test_a_model_folder_predicts_what_it_predicted(offline_settings: Settings) -> None:
    predictor = Predictor.load(str(EARLIER / "model"), offline_settings)
    now = {}
    for split in ("train", "val", "test"):
        lines = read_folder_lines(EARLIER / "posts", split, offline_settings)
        for line, good in predict_lines(predictor, lines):
            assert good, line
            prediction = json.loads(line)
            now[prediction["post_id"]] = prediction
    earlier = [json.loads(line) for line in _lines("predictions.jsonl")]
    assert len(earlier) == len(now) == 12
    for was in earlier:
        found = now[was["post_id"]]
        numbers = {"probabilities", "quality", "gate"}
        for name in was.keys() - numbers:
            assert found[name] == was[name]
        # Processors differ in last digits.
        assert found["gate"] == pytest.approx(was["gate"], abs=1e-3)
        for name in ("probabilities", "quality"):
            assert found[name] == pytest.approx(was[name], abs=1e-3)


def test_a_lake_gives_its_training_set(offline_settings: Settings) -> None:
    shutil.copytree(EARLIER / "lake", offline_settings.lake)
    frame = training_set(DAY, offline_settings)
    posts = [json.loads(line) for line in _lines("posts/posts.jsonl")]
    assert dict(zip(frame["post_id"], frame["label"], strict=True)) == {
        post["post_id"]: post["label"] for post in posts
    }
    assert dict(zip(frame["post_id"], frame["text"], strict=True)) == {
        post["post_id"]: post["text"] for post in posts
    }
    assert {len(vector) for vector in frame["text_embedding"]} == {384}
    images = {uri for uri in frame["image_uri"] if uri}
    assert len(images) == sum("image" in post for post in posts)
