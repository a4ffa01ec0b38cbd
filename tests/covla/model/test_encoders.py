"""The encoders: OpenVINO says what torch says, and a post's answer is its own."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from covla.errors import CovlaError
from covla.model.encoders import Encoders
from covla.model.towers import load_towers

# Converting the towers takes a while on a busy machine.
pytestmark = pytest.mark.slow


@dataclass
class Item:
    text: str
    image: np.ndarray[Any, Any] | None


@pytest.fixture(scope="module")
def items() -> list[Item]:
    rng = np.random.default_rng(0)

    def picture(height: int, width: int) -> np.ndarray[Any, Any]:
        return rng.integers(0, 255, (height, width, 3), dtype=np.uint8)

    return [
        Item("A quiet evening by the sea", picture(224, 224)),
        Item("word " * 300, picture(40, 256)),
        Item("x", None),
        Item("", picture(256, 31)),
    ]


@pytest.fixture(scope="module")
def openvino(tmp_path_factory: pytest.TempPathFactory) -> Encoders:
    return Encoders(
        *load_towers("base"), cache=tmp_path_factory.mktemp("cache"), backend="openvino"
    )


def test_openvino_gives_the_answers_of_torch(openvino: Encoders, items: list[Item]) -> None:
    reference = Encoders(*load_towers("base"), backend="torch", device="cpu")
    assert reference.id == openvino.id
    for ours, theirs in zip(openvino.encode(items), reference.encode(items), strict=True):
        for name in ("tokens", "text_embedding", "regions", "image_embedding"):
            a, b = getattr(ours, name), getattr(theirs, name)
            assert (a is None) == (b is None)
            if a is not None:
                np.testing.assert_allclose(a, b, atol=2e-3, rtol=1e-3)


def test_a_post_alone_and_among_others_is_equal_bit_for_bit(
    openvino: Encoders, items: list[Item]
) -> None:
    together = openvino.encode(items * 3)
    for i, item in enumerate(items):
        alone = openvino.encode([item])[0]
        for name in ("tokens", "regions"):
            for row in (together[i], together[i + len(items)]):
                a, b = getattr(alone, name), getattr(row, name)
                assert (a is None and b is None) or np.array_equal(a, b)


def test_shapes_and_missing_modalities(openvino: Encoders, items: list[Item]) -> None:
    whole, long, text_only, image_only = openvino.encode(items)
    assert whole.regions is not None
    assert whole.regions.shape == (49, 1280)
    assert long.tokens is not None
    assert long.tokens.shape == (128, 384)
    assert text_only.regions is None
    assert image_only.tokens is None
    assert image_only.text_embedding is None
    assert openvino.encode([]) == []


def test_the_compiled_networks_are_kept(
    openvino: Encoders, items: list[Item], tmp_path: Path
) -> None:
    first = Encoders(*load_towers("base"), cache=tmp_path, backend="openvino")
    a = first.encode(items)[0]
    assert len(list((tmp_path / "openvino").glob("*.xml"))) == 2
    again = Encoders(*load_towers("base"), cache=tmp_path, backend="openvino")
    b = again.encode(items)[0]
    assert a.tokens is not None
    assert b.tokens is not None
    assert np.array_equal(a.tokens, b.tokens)


def test_a_folder_without_a_model_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(CovlaError, match="hub id"):
        load_towers(str(tmp_path))


@pytest.mark.parametrize(
    "config",
    [b"", b"{}", b"[1]", b"no json", b'{"model_type": "clip", "text_config": 5}',
     '{"model_type": "clip"}'.encode("utf-16"), b'{"model_type": "clip"}'],
)  # fmt: skip
def test_a_folder_that_is_no_encoder_is_one_line(tmp_path: Path, config: bytes) -> None:
    (tmp_path / "config.json").write_bytes(config)
    (tmp_path / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(CovlaError, match="cannot load") as refused:
        load_towers(str(tmp_path))
    assert str(tmp_path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_local_clip_folder_runs(tmp_path: Path, items: list[Item]) -> None:
    """A tiny random CLIP, saved and loaded as a real one would be."""
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

    base = load_towers("base")[1]
    config = CLIPConfig(
        text_config={
            "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
            "intermediate_size": 32, "vocab_size": len(base), "max_position_embeddings": 40,
            "eos_token_id": 102, "pad_token_id": 0, "bos_token_id": 101,
        },
        vision_config={
            "hidden_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2,
            "intermediate_size": 32, "image_size": 64, "patch_size": 16,
        },
        projection_dim=16,
    )  # fmt: skip
    CLIPModel(config).save_pretrained(tmp_path)
    base.save_pretrained(tmp_path)
    CLIPImageProcessor(
        size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64}
    ).save_pretrained(tmp_path)
    towers, tokenizer = load_towers(str(tmp_path))
    encoders = Encoders(towers, tokenizer, backend="torch", device="cpu")
    whole = encoders.encode(items)[0]
    assert whole.regions is not None
    assert whole.regions.shape == (16, 48)  # patches alone: CLS is dropped
    assert whole.tokens is not None
    assert whole.tokens.shape[1] == 32
    fast = Encoders(*load_towers(str(tmp_path)), backend="openvino").encode(items)[0]
    assert fast.regions is not None
    np.testing.assert_allclose(fast.regions, whole.regions, atol=2e-3, rtol=1e-3)
