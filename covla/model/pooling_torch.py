"""Embeddings of a post's sides as tensors, for training: see `covla.model.pooling`."""

import torch
from torch import Tensor
from torch.nn import functional as F

Features = tuple[Tensor | None, Tensor | None]


def pool_posts(features: list[Features], widths: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Tokens and regions of n posts to n x d_T of length 1 and n x d_V; zeros where missing."""
    text, image = (
        torch.stack([torch.zeros(width) if row is None else row.float().mean(0) for row in side])
        for side, width in zip(zip(*features, strict=True), widths, strict=True)
    )
    return F.normalize(text, dim=-1), image
