"""A teacher to measure: a folder's vision-language model or dual encoder, or a random one."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

Sizes = dict[str, tuple[dict[str, Any], dict[str, Any]]]  # of the text and the vision part

# CLIP ViT-L/14, the size that dual-encoder teachers commonly have; and one for tests.
CLIP_SIZES: Sizes = {
    "clip-large": (
        {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
         "intermediate_size": 3072, "projection_dim": 768},
        {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16,
         "intermediate_size": 4096, "patch_size": 14, "image_size": 224, "projection_dim": 768},
    ),
    "tiny": (
        {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
         "intermediate_size": 32, "projection_dim": 16},
        {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
         "intermediate_size": 32, "patch_size": 32, "image_size": 64, "projection_dim": 16},
    ),
}  # fmt: skip
# Qwen3-VL-2B, and one for tests. A post is one image of 224 x 224 and 64 tokens of text.
VLM_SIZES: Sizes = {
    "qwen3-vl-2b": (
        {"hidden_size": 2048, "num_hidden_layers": 28, "num_attention_heads": 16,
         "num_key_value_heads": 8, "head_dim": 128, "intermediate_size": 6144,
         "rope_parameters": {"rope_type": "default", "rope_theta": 5e6,
                             "mrope_section": [24, 20, 20], "mrope_interleaved": True}},
        {"depth": 24, "hidden_size": 1024, "num_heads": 16, "intermediate_size": 4096,
         "out_hidden_size": 2048, "deepstack_visual_indexes": [5, 11, 17]},
    ),
    "tiny-vlm": (
        {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
         "num_key_value_heads": 2, "head_dim": 16, "intermediate_size": 32,
         "rope_parameters": {"rope_type": "default", "rope_theta": 1e4,
                             "mrope_section": [4, 2, 2], "mrope_interleaved": True}},
        {"depth": 1, "hidden_size": 32, "num_heads": 2, "intermediate_size": 32,
         "out_hidden_size": 32, "deepstack_visual_indexes": [0]},
    ),
}  # fmt: skip
SIDE, TEXT_TOKENS = 224, 64


@dataclass
class Teacher:
    """`run` is one forward over what `inputs` made, bf16 on a GPU; `name` says what it is."""

    name: str
    model: Any
    processor: Any
    dual: bool

    def inputs(self, texts: Sequence[str]) -> Any:
        """One image and one text a post, on the device."""
        rng = np.random.default_rng(0)
        if self.processor is None and not self.dual:
            return _blank_posts(self.model, len(texts))
        if self.processor is None:
            config = self.model.config
            side = config.vision_config.image_size
            ids = torch.randint(1, 1000, (len(texts), config.text_config.max_position_embeddings))
            blank = {
                "input_ids": ids,
                "attention_mask": torch.ones_like(ids),
                "pixel_values": torch.rand(len(texts), 3, side, side).to(self.model.dtype),
            }
            return {name: tensor.to(self.model.device) for name, tensor in blank.items()}
        made: Any
        pictures = [
            Image.fromarray(rng.integers(0, 255, (224, 224, 3), dtype=np.uint8)) for _ in texts
        ]
        if self.dual:
            made = self.processor(
                text=list(texts), images=pictures, padding="max_length", truncation=True,
                return_tensors="pt",
            )  # fmt: skip
        else:
            asked = [
                self.processor.apply_chat_template(
                    [{"role": "user", "content": [{"type": "image"},
                                                  {"type": "text", "text": text}]}],
                    add_generation_prompt=True,
                )
                for text in texts
            ]  # fmt: skip
            made = self.processor(
                text=asked, images=[[picture] for picture in pictures], padding=True,
                return_tensors="pt",
            )  # fmt: skip
        return made.to(self.model.device, self.model.dtype)

    @torch.inference_mode()
    def run(self, inputs: Any) -> object:
        """One batch."""
        return self.model(**inputs) if self.dual else self.model(**inputs, use_cache=False)


def _blank_posts(model: Any, count: int) -> dict[str, Tensor]:
    """What Qwen3-VL's processor would make of `count` posts, of random pixels and words."""
    config = model.config
    vision = config.vision_config
    patches = SIDE // vision.patch_size
    merged = (patches // vision.spatial_merge_size) ** 2
    picture = [config.vision_start_token_id, *[config.image_token_id] * merged]
    picture.append(config.vision_end_token_id)
    ids = torch.randint(1, 1000, (count, len(picture) + TEXT_TOKENS))
    ids[:, : len(picture)] = torch.tensor(picture)
    values = vision.in_channels * vision.temporal_patch_size * vision.patch_size**2
    blank = {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "mm_token_type_ids": (ids == config.image_token_id).int(),
        "pixel_values": torch.rand(count * patches**2, values).to(model.dtype),
        "image_grid_thw": torch.tensor([[1, patches, patches]] * count),
    }
    return {name: tensor.to(model.device) for name, tensor in blank.items()}


def load_teacher(name: str, device: str) -> Teacher:
    """A size of `CLIP_SIZES` or `VLM_SIZES` with random weights, or a local folder or hub id.

    Raises:
        SystemExit: the folder cannot be loaded.
    """
    from transformers import (
        AutoConfig,
        AutoModel,
        AutoModelForImageTextToText,
        AutoProcessor,
        CLIPConfig,
        CLIPModel,
        Qwen3VLConfig,
    )

    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    if name in CLIP_SIZES:
        text, vision = CLIP_SIZES[name]
        config = CLIPConfig(
            text_config=text, vision_config=vision, projection_dim=text["projection_dim"]
        )
        model = CLIPModel(config).eval().to(device, dtype)
        return _random(name, model, dual=True)
    if name in VLM_SIZES:
        text, vision = VLM_SIZES[name]
        shape = Qwen3VLConfig(text_config=text, vision_config=vision)
        before = torch.get_default_dtype()
        torch.set_default_dtype(dtype)  # two billion weights are made where they are used
        try:
            with torch.device(device):
                model = AutoModel.from_config(shape).eval()
        finally:
            torch.set_default_dtype(before)
        return _random(name, model, dual=False)
    try:
        config = AutoConfig.from_pretrained(name)
        dual = hasattr(config, "vision_config") and config.model_type in (
            "clip", "siglip", "siglip2",
        )  # fmt: skip
        kind = AutoModel if dual else AutoModelForImageTextToText
        model = kind.from_pretrained(name, dtype=dtype)
        processor = AutoProcessor.from_pretrained(name)
    except (OSError, ValueError, ImportError) as error:
        raise SystemExit(f"teacher {name} cannot be loaded: {error}") from error
    if not dual:
        model = model.model  # the base: no logits over a vocabulary are asked for
    return Teacher(
        f"{Path(name).name} ({config.model_type})", model.eval().to(device), processor, dual
    )


def _random(name: str, model: Any, *, dual: bool) -> Teacher:
    million = sum(p.numel() for p in model.parameters()) / 1e6
    return Teacher(f"{name}, {million:.0f} million random weights", model, None, dual=dual)
