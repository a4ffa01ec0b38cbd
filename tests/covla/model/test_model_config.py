"""What serving reads of config.json is what training wrote."""

from dataclasses import fields
from pathlib import Path

import pytest

from covla.errors import CovlaError
from covla.model.folder_weights import load_covla_config
from covla.model.model_config import ModelConfig, load_config


def test_both_readers_of_a_folder_agree(tiny_folder: Path) -> None:
    plain, whole = load_config(tiny_folder), load_covla_config(tiny_folder)
    assert plain == ModelConfig.of(whole)
    assert plain.grid == whole.grid
    assert len(plain.labels) == 11


def test_both_have_the_same_defaults() -> None:
    from covla.model.configuration import CovlaConfig

    whole, plain = CovlaConfig(labels=["a", "b"]), ModelConfig(labels=["a", "b"])
    for one in fields(plain):
        ours, theirs = getattr(plain, one.name), getattr(whole, one.name)
        assert ours == (tuple(theirs) if isinstance(ours, tuple) else theirs), one.name


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({}, ("logits", "attention")),
        ({"alignment": "mean"}, ("logits",)),
        ({"support": 4}, ("logits", "attention", "label_logits", "votes")),
        ({"support": 4, "label_nodes": False}, ("logits", "attention")),
    ],
)
def test_an_explanation_has_what_the_model_has(
    fields: dict[str, object], names: tuple[str, ...]
) -> None:
    assert ModelConfig(labels=["a"], **fields).explained == names  # type: ignore[arg-type]


@pytest.mark.parametrize("content", ["{}", '{"id2label": 3}', '{"id2label": {"1": "a"}}'])
def test_a_file_of_something_else_is_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(CovlaError, match="is not of a model"):
        load_config(tmp_path)
