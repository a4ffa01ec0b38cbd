"""Text and images to what the towers take. Saved beside the weights for AutoProcessor."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import AutoProcessor, BatchFeature, PreTrainedTokenizerBase, ProcessorMixin

from covla.arrays import Array
from covla.model.configuration import CovlaConfig
from covla.model.encoders import pixels


class CovlaProcessor(ProcessorMixin):  # type: ignore[misc]
    """A tokenizer, and the size of an image."""

    tokenizer_class = "AutoTokenizer"

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase | None = None,
        image_size: int = 224,
        max_tokens: int = 128,
        **kwargs: Any,
    ) -> None:
        self.image_size = image_size
        self.max_tokens = max_tokens
        super().__init__(tokenizer, **kwargs)

    def __call__(self, texts: Sequence[str], images: Sequence[Array | None]) -> BatchFeature:
        """One text ("" for none) and one image (uint8 H x W x 3, or None) per post.

        Returns:
            input_ids and attention_mask (B x T; all zeros in a row without text), pixel_values
            (uint8, B x 3 x S x S) and has_image (B).
        """
        batch = self.tokenizer(
            list(texts),
            truncation=True,
            max_length=self.max_tokens,
            padding=True,
            return_tensors="pt",
        )
        has_text = torch.tensor([bool(text) for text in texts])
        side = self.image_size
        blank = np.zeros((3, side, side), np.uint8)
        stacked = np.stack([blank if im is None else pixels(im, side) for im in images])
        return BatchFeature(
            {
                "input_ids": batch["input_ids"],
                "attention_mask": batch["attention_mask"] * has_text[:, None],
                "pixel_values": torch.from_numpy(stacked),
                "has_image": torch.tensor([image is not None for image in images]),
            }
        )


AutoProcessor.register(CovlaConfig, CovlaProcessor)
