"""A folder's networks: carried under its manifest, or converted once into the cache."""

import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest

from covla.errors import CovlaError
from covla.model import networks
from covla.model.context import Context, Layout
from covla.model.encoders import Encoded
from covla.model.folder_weights import write_networks
from covla.model.head import HeadRunner
from covla.model.networks import ABOUT, F32, PARTS, f32_networks
from covla.model.runtime import device
from covla.registry.model_folder import write_manifest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def carrying(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny folder, with its networks."""
    folder = tmp_path_factory.mktemp("carrying") / "model"
    shutil.copytree(tiny_folder, folder)
    write_networks(folder, folder / F32)
    write_manifest(folder)
    return folder


def _forbidden(what: str) -> None:
    raise AssertionError(f"{what}: torch was asked for")


def test_carried_networks_need_no_cache_and_answer_as_converted_ones(
    carrying: Path, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the last bit: what was predicted before goes on."""
    converted = HeadRunner.load(tiny_folder, cache=tmp_path, device="cpu")
    monkeypatch.setattr(networks, "require_torch", _forbidden)
    assert f32_networks(carrying, tmp_path / "none") == carrying / F32
    assert not (tmp_path / "none").exists()
    head = HeadRunner.load(carrying, cache=tmp_path, device="cpu")
    rng = np.random.default_rng(0)
    layout = Layout.of(head.config)
    tokens = rng.normal(size=(9, head.config.text_width)).astype(np.float32)
    regions = rng.normal(size=(head.config.regions, head.config.image_width)).astype(np.float32)
    post = Encoded(tokens, None, regions, None)
    nodes = rng.normal(size=(layout.nodes, layout.width)).astype(np.float32)
    context = Context(nodes, np.ones(layout.nodes, np.bool_))
    (ours,), (theirs,) = head.run([post], [context]), converted.run([post], [context])
    np.testing.assert_array_equal(ours.logits, theirs.logits)
    why = head.explain(post, context)
    np.testing.assert_allclose(why.logits / head.config.softmax_temperature, ours.logits, atol=1e-5)
    assert why.attention is not None
    assert why.attention.shape == (9, head.config.regions)
    np.testing.assert_allclose(why.attention.sum(1), 1, atol=1e-5)


def test_an_older_folder_is_converted_once_and_says_so(
    tiny_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "covla.model.networks"):
        kept = f32_networks(tiny_folder, tmp_path)
        assert f32_networks(tiny_folder, tmp_path) == kept
    (line,) = caplog.messages
    assert line.startswith(f"converting the networks of {tiny_folder} once")
    assert {path.stem for path in kept.glob("*.xml")} == set(PARTS)


def test_what_is_damaged_or_of_other_code_is_made_again(tiny_folder: Path, tmp_path: Path) -> None:
    kept = f32_networks(tiny_folder, tmp_path)
    stale = kept.with_name(f"{kept.name[:-8]}00000000")
    stale.mkdir()
    written = (kept / "head.xml").stat().st_mtime_ns
    (kept / "image.xml").write_text("damaged")
    assert f32_networks(tiny_folder, tmp_path) == kept
    assert (kept / "head.xml").stat().st_mtime_ns > written
    assert (kept / "image.xml").stat().st_size > 1000
    assert not stale.exists()


def test_networks_of_another_form_are_converted(carrying: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(carrying, other)
    about = json.loads((other / F32 / ABOUT).read_text())
    (other / F32 / ABOUT).write_text(json.dumps(about | {"format": 0}))
    assert f32_networks(other, tmp_path / "cache").is_relative_to(tmp_path / "cache")


def test_without_torch_an_older_folder_names_the_command(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "find_spec", lambda name: None)
    with pytest.raises(CovlaError, match="torch is not installed") as refused:
        HeadRunner.load(tiny_folder, cache=tmp_path, device="cpu")
    assert "covla convert" in str(refused.value.hint)
    assert list(tmp_path.iterdir()) == []
