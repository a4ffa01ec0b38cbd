"""A teacher to measure: a folder's vision-language model or dual encoder, or a random one."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

# CLIP ViT-L/14, the size that dual-encoder teachers commonly have; and one for tests.
CLIP_SIZES = {
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


@dataclass
class Teacher:
    """`run` is one forward over what `inputs` made, bf16 on a GPU; `name` says what it is."""

    name: str
    model: Any
    processor: Any
    dual: bool

    def inputs(self, texts: Sequence[str]) -> Any:
        """One picture and one text a post, on the device."""
        rng = np.random.default_rng(0)
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


def load_teacher(name: str, device: str) -> Teacher:
    """A size of `CLIP_SIZES` with random weights, or a local folder or hub id.

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
    )

    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    if name in CLIP_SIZES:
        text, vision = CLIP_SIZES[name]
        config = CLIPConfig(
            text_config=text, vision_config=vision, projection_dim=text["projection_dim"]
        )
        model = CLIPModel(config).eval().to(device, dtype)
        million = sum(p.numel() for p in model.parameters()) / 1e6
        return Teacher(f"{name}, {million:.0f} million random weights", model, None, dual=True)
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
