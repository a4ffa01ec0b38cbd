"""A teacher with a tower per modality: CLIP, SigLIP, SigLIP 2 (fixed size and NaFlex)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F
from transformers import BatchFeature

from covla.arrays import FloatArray
from covla.posts.preprocessing import PreparedPost
from covla.settings import Settings
from covla.training.teachers.pretrained import load_pretrained
from covla.training.teachers.prompt import picture
from covla.training.teachers.resolve import Teacher


class DualEncoder:
    """Both sides in the models' common space, each of length 1, text first.

    The side of a missing modality is NaN: the student is then taught the mean there, not zeros,
    which would be far from any real post.
    """

    def __init__(self, teacher: Teacher, settings: Settings) -> None:
        from transformers import AutoModel

        self.settings = settings
        self.model, self.processor = load_pretrained(AutoModel, teacher, settings)
        config = self.model.config
        self.max_tokens = int(config.text_config.max_position_embeddings)
        clip = config.model_type == "clip"
        self.widths = (
            int(config.projection_dim if clip else config.text_config.projection_size),
            int(config.projection_dim if clip else config.vision_config.hidden_size),
        )

    def read(self, items: Sequence[PreparedPost]) -> FloatArray:
        """n x d. All of `items` have the same modalities."""
        sides = [np.full((len(items), width), np.nan, np.float32) for width in self.widths]
        if items[0].text:
            # Padded to the full length, as they were trained, whatever the batch: SigLIP pools
            # the last position and has no mask.
            inputs = self.processor.tokenizer(
                [item.text for item in items], padding="max_length", truncation=True,
                max_length=self.max_tokens, return_tensors="pt",
            )  # fmt: skip
            sides[0] = self._features(self.model.get_text_features, inputs)
        pictures = [picture(item, self.settings) for item in items]
        if pictures[0] is not None:
            inputs = self.processor.image_processor(pictures, return_tensors="pt")
            sides[1] = self._features(self.model.get_image_features, inputs)
        return np.concatenate(sides, axis=1)

    def _features(self, ask: Any, inputs: Any) -> FloatArray:
        moved = BatchFeature(dict(inputs)).to(self.model.device, self.model.dtype)
        with torch.inference_mode():
            pooled = ask(**moved).pooler_output
        vectors: FloatArray = F.normalize(pooled.float(), dim=-1).cpu().numpy()
        return vectors
