"""What a teacher's name means, and everything that is wrong with one, before any work."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import transformers
from safetensors.torch import load_file, save_file

from covla.errors import CovlaError, ServiceUnavailable
from covla.settings import Settings
from covla.training.teachers.embeddings import load
from covla.training.teachers.resolve import resolve

Checkpoint = Callable[[str], Path]


def test_the_kind_is_read_from_the_configuration(
    checkpoint: Checkpoint, tiny_folder: Path, tmp_path: Path
) -> None:
    assert resolve("none").kind == "none"
    assert resolve("ensemble").kind == "ensemble"
    clip, qwen, own = (
        resolve(str(f)) for f in (checkpoint("clip"), checkpoint("qwen3_vl"), tiny_folder)
    )
    assert (clip.kind, clip.width) == ("dual_encoder", 48)
    assert (qwen.kind, qwen.width) == ("vision_language", 32)
    assert (own.kind, own.width) == ("self", 11 + 64)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("oracle", "teacher: 'oracle' is not one. Give ensemble, self, none"),
        ("./nowhere", "teacher: there is no folder ./nowhere"),
        ("/no/such/folder", "teacher: there is no folder /no/such/folder"),
        ("", "teacher: '' is not one"),
    ],
)
def test_no_such_teacher(name: str, message: str) -> None:
    with pytest.raises(CovlaError, match=message):
        resolve(name)


def test_a_hub_that_cannot_be_reached_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ServiceUnavailable, match="nobody/nothing was not fetched before") as e:
        resolve("nobody/nothing@v1")
    assert "\n" not in str(e.value)


def test_self_without_a_champion_says_so(settings: Settings) -> None:
    with pytest.raises(CovlaError, match="there is no champion yet"):
        resolve("self", settings)


def _without(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).unlink()


def _sharded_without_one(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    save_file(weights, folder / "model-00001-of-00002.safetensors")
    names = dict.fromkeys(weights, "model-00001-of-00002.safetensors")
    names[next(iter(names))] = "model-00002-of-00002.safetensors"
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))


def _cut_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-10])


def _config(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


BROKEN: list[tuple[Callable[[Path], object], str]] = [
    (lambda f: _without(f, "config.json"), "has no config.json"),
    (lambda f: (f / "config.json").write_text("{"), "says no model_type"),
    (lambda f: (f / "config.json").write_text("[]"), "says no model_type"),
    (lambda f: _without(f, "model.safetensors"), "has no weights: model.safetensors is not there"),
    (_sharded_without_one, "has no weights: model-00002-of-00002.safetensors is not there"),
    (lambda f: (f / "model.safetensors.index.json").write_text("x"), "is damaged"),
    (_cut_weights, "model.safetensors is damaged"),
    (
        lambda f: _config(f, model_type="bert"),
        "model type 'bert' of .* is not supported. Supported",
    ),
    (lambda f: transformers.Florence2Config().save_pretrained(f), "is no decoder-only model"),
    (lambda f: _config(f, text_config=3), "configuration of .* cannot be read"),
    (lambda f: _without(f, "tokenizer.json"), "has none of tokenizer.json"),
    (lambda f: _without(f, "processor_config.json"), "has none of processor_config.json"),
]


@pytest.mark.parametrize(("damage", "message"), BROKEN, ids=[message for _, message in BROKEN])
def test_a_folder_that_cannot_teach_is_refused_before_any_weight_is_loaded(
    damage: Callable[[Path], object], message: str, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    folder = tmp_path / "teacher"
    shutil.copytree(checkpoint("gemma3"), folder)
    damage(folder)
    with pytest.raises(CovlaError, match=message):
        resolve(str(folder))


def test_a_file_is_no_folder(checkpoint: Checkpoint) -> None:
    with pytest.raises(CovlaError, match="is a file. Give the folder"):
        resolve(str(checkpoint("clip") / "config.json"))


def test_weights_of_another_network_are_refused_not_made_up(
    checkpoint: Checkpoint, settings: Settings, tmp_path: Path
) -> None:
    folder = tmp_path / "teacher"
    shutil.copytree(checkpoint("clip"), folder)
    weights = load_file(folder / "model.safetensors")
    dropped = {k: v for k, v in weights.items() if "visual_projection" not in k}
    save_file(dropped, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(CovlaError, match="lacks 1 of its weights, such as visual_projection"):
        load(resolve(str(folder)), settings)
    _config(folder, projection_dim=12)
    with pytest.raises(CovlaError, match="cannot be loaded|lacks"):
        load(resolve(str(folder)), settings)


def test_a_changed_file_of_a_covla_model_is_refused(tiny_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_folder, folder)
    (folder / "metrics.json").write_text("{}")
    with pytest.raises(CovlaError, match="metrics.json is changed"):
        resolve(str(folder))
