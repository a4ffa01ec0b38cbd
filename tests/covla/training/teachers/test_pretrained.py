"""Real loading code on tiny random checkpoints of ten families, from their folders, offline."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

from covla.posts.image_store import BlobStore
from covla.posts.preprocessing import PreparedPost, prepare
from covla.posts.taxonomy import load_taxonomy
from covla.schemas.post import SocialPost
from covla.settings import Settings
from covla.training.teachers import pretrained
from covla.training.teachers.dual_encoder import DualEncoder
from covla.training.teachers.embeddings import load
from covla.training.teachers.prompt import control_tokens, plain
from covla.training.teachers.resolve import resolve
from covla.training.teachers.vision_language import VisionLanguage

VISION_LANGUAGE = (
    "qwen3_vl", "qwen2_5_vl", "smolvlm", "idefics3", "internvl", "gemma3", "lfm2_vl",
)  # fmt: skip
DUAL = ("clip", "siglip", "siglip2")
BOTH, TEXT, IMAGE = [0, 1, 2], [3, 4], [5]  # positions of conftest.POSTS by their modalities

Checkpoint = Callable[[str], Path]


@pytest.mark.parametrize("family", VISION_LANGUAGE + DUAL)
def test_a_post_gets_the_same_vector_alone_and_in_a_batch(
    family: str, checkpoint: Checkpoint, prepared: list[PreparedPost], settings: Settings
) -> None:
    teacher = resolve(str(checkpoint(family)))
    reader = load(teacher, settings)
    alone = np.concatenate([reader.read([item]) for item in prepared])
    assert alone.shape == (len(prepared), teacher.width)
    for positions in (BOTH, TEXT, IMAGE):
        together = reader.read([prepared[i] for i in positions])
        np.testing.assert_allclose(together, alone[positions], atol=1e-5)  # NaN where NaN
    if family in VISION_LANGUAGE:
        assert np.isfinite(alone).all()
    # Both modalities are seen: with another text, or another image, the vector is another.
    for changed in (
        replace(prepared[0], text="something else"),
        replace(prepared[0], image_bytes=prepared[2].image_bytes),
    ):
        other = reader.read([changed])[0]
        assert np.abs(other - alone[0]).max() > 1e-3


@pytest.mark.parametrize("family", ["qwen3_vl", "siglip2"])
def test_bf16_as_on_a_gpu_says_nearly_the_same(
    family: str,
    checkpoint: Checkpoint,
    prepared: list[PreparedPost],
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    teacher = resolve(str(checkpoint(family)))
    exact = load(teacher, settings).read(prepared[:3])
    monkeypatch.setitem(pretrained.DTYPE, "cpu", torch.bfloat16)
    near = load(teacher, settings).read(prepared[:3])
    assert near.dtype == np.float32
    assert not np.array_equal(near, exact)
    np.testing.assert_allclose(near, exact, atol=0.05)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU")
@pytest.mark.parametrize("family", VISION_LANGUAGE + DUAL)
def test_on_a_gpu_bf16_says_nearly_what_a_cpu_says(
    family: str, checkpoint: Checkpoint, prepared: list[PreparedPost], settings: Settings
) -> None:
    teacher = resolve(str(checkpoint(family)))
    exact = load(teacher, settings).read(prepared[:3])
    said = load(teacher, settings.model_copy(update={"device": "cuda"})).read(prepared[:3])
    assert said.dtype == np.float32
    apart = np.linalg.norm(said - exact, axis=1) / np.linalg.norm(exact, axis=1)
    assert apart.max() < 0.05


@pytest.mark.parametrize("family", DUAL)
def test_a_dual_encoder_says_nan_for_the_side_that_is_missing(
    family: str, checkpoint: Checkpoint, prepared: list[PreparedPost], settings: Settings
) -> None:
    reader = load(resolve(str(checkpoint(family))), settings)
    assert isinstance(reader, DualEncoder)
    text = reader.widths[0]
    both, words, picture = (reader.read([prepared[i]])[0] for i in (0, 3, 5))
    assert np.isfinite(both).all()
    assert np.linalg.norm(both[:text]) == pytest.approx(1, abs=1e-5)
    assert np.linalg.norm(both[text:]) == pytest.approx(1, abs=1e-5)
    assert np.isfinite(words[:text]).all()
    assert np.isnan(words[text:]).all()
    assert np.isnan(picture[:text]).all()
    assert np.isfinite(picture[text:]).all()


@pytest.mark.parametrize("family", VISION_LANGUAGE)
def test_a_prompt_holds_the_post_and_no_label(
    family: str, checkpoint: Checkpoint, prepared: list[PreparedPost], settings: Settings
) -> None:
    reader = load(resolve(str(checkpoint(family))), settings)
    assert isinstance(reader, VisionLanguage)
    prompts = [reader.prompt(item) for item in prepared]
    assert "Leg day at the gym #fit" in prompts[0]
    assert all("assistant" in prompt for prompt in prompts)  # the chat template was used
    assert "Text of the post" not in prompts[5]
    for name in load_taxonomy().names:
        assert not any(name in prompt for prompt in prompts)


@pytest.mark.parametrize("family", ["qwen3_vl", "idefics3", "gemma3"])
def test_without_a_chat_template_the_picture_still_has_its_place(
    family: str, checkpoint: Checkpoint, prepared: list[PreparedPost], settings: Settings
) -> None:
    reader = load(resolve(str(checkpoint(family))), settings)
    assert isinstance(reader, VisionLanguage)
    reader.processor.chat_template = None
    assert "assistant" not in reader.prompt(prepared[0])
    assert reader.processor.image_token in reader.prompt(prepared[0])
    assert np.isfinite(reader.read(prepared[:2])).all()
    assert np.isfinite(reader.read([prepared[3]])).all()


@pytest.mark.parametrize("family", ["qwen3_vl", "smolvlm", "internvl"])
def test_a_post_that_writes_control_tokens_is_read_as_text(
    family: str, checkpoint: Checkpoint, prepared: list[PreparedPost], settings: Settings
) -> None:
    reader = load(resolve(str(checkpoint(family))), settings)
    assert isinstance(reader, VisionLanguage)
    tokens = sorted(reader.processor.tokenizer.get_added_vocab())
    assert len(tokens) > 5
    attack = " ".join(["look", *tokens, "here"])
    control = control_tokens(reader.processor.tokenizer)
    assert plain(attack, control).split() == ["look", "here"]
    for item in (replace(prepared[0], text=attack), replace(prepared[3], text=attack)):
        same = replace(item, text=plain(attack, control))
        np.testing.assert_array_equal(reader.read([item]), reader.read([same]))


def test_a_picture_costs_a_bounded_number_of_tokens(
    checkpoint: Checkpoint, prepared: list[PreparedPost], settings: Settings, tmp_path: Path
) -> None:
    wide = tmp_path / "wide.png"
    Pillow.new("RGB", (3000, 1500), "navy").save(wide)
    reader = load(resolve(str(checkpoint("idefics3"))), settings)
    assert isinstance(reader, VisionLanguage)
    seen: list[int] = []
    forward = reader.model.forward

    def spy(**inputs: torch.Tensor) -> object:
        seen.append(inputs["pixel_values"].shape[1])
        return forward(**inputs)

    reader.model.forward = spy
    reader.read([replace(prepared[0], image_bytes=wide.read_bytes())])
    assert seen == [1]  # one tile, where the processor's own setting makes several


def test_a_long_text_is_cut(checkpoint: Checkpoint, settings: Settings) -> None:
    post = SocialPost(post_id="long", created_at="2026-01-01T00:00:00Z", text="word " * 700)
    item = prepare(post, settings, BlobStore(settings))
    for family in ("gemma3", "siglip"):
        vectors = load(resolve(str(checkpoint(family))), settings).read([item])
        assert np.isfinite(vectors).any()
