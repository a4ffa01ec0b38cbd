"""A folder of before gets its networks once, and answers as it did."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from covla.errors import CovlaError
from covla.inference.convert import convert
from covla.inference.predictor import Predictor
from covla.model import networks
from covla.model.networks import carries_networks
from covla.posts.synthetic import generate
from covla.registry.model_folder import verify
from covla.schemas.prediction import Prediction
from covla.settings import Settings

pytestmark = pytest.mark.slow

START, END = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC)


def _answers(model: Predictor) -> list[Any]:
    posts = [item.post for item, _ in generate(12, 5, START, END)]
    answers = [one for one in model.predict(posts) if isinstance(one, Prediction)]
    assert len(answers) == 12
    return [(one.probabilities, one.gate) for one in answers]


def test_the_new_folder_is_whole_and_answers_bit_for_bit(
    tiny_folder: Path, tmp_path: Path, offline_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Predictor.load(tiny_folder, offline_settings)
    done = convert(str(tiny_folder), offline_settings, tmp_path / "new")
    assert done.folder == str(tmp_path / "new")
    assert done.digest == verify(tmp_path / "new") != verify(tiny_folder)
    assert carries_networks(tmp_path / "new")
    monkeypatch.setattr(networks, "_convert", None)  # nothing is converted from here on
    after = Predictor.load(tmp_path / "new", Settings(state=tmp_path / "elsewhere"))
    assert after.encoders.id == before.encoders.id
    assert _answers(after) == _answers(before)
    with pytest.raises(CovlaError, match="carries its networks already"):
        convert(str(tmp_path / "new"), offline_settings)
    with pytest.raises(CovlaError, match="is there already"):
        convert(str(tiny_folder), offline_settings, tmp_path / "new")


def test_the_command_fills_the_cache_of_the_state_folder(
    tiny_folder: Path, offline_settings: Settings, run_command: Any
) -> None:
    done = run_command(offline_settings, "convert", tiny_folder, "--json")
    assert done.returncode == 0, done.stderr
    assert set(done.json) == {"networks"}
    found = Path(done.json["networks"])
    assert found.is_relative_to(offline_settings.cache)
    assert (found / "explain.xml").exists()
