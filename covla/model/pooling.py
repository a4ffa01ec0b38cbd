"""Embeddings of a post's sides: the one place where tokens and regions become one vector."""

from typing import TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F

from covla.arrays import FloatArray

Features = tuple[Tensor | None, Tensor | None]


# Either kind: the two differ in last digits, and what was trained before stays the same.
Rows = TypeVar("Rows", Tensor, FloatArray)


def mean_of(rows: Rows) -> Rows:
    """T x d tokens or R x d regions, float32, to their mean, d."""
    mean: Rows = rows.mean(0)
    return mean


def unit_length(text: Tensor) -> Tensor:
    """Text embeddings, ... x d_T, at length 1; those of images keep theirs."""
    return F.normalize(text, dim=-1)


def pool_posts(features: list[Features], widths: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Tokens and regions of n posts to n x d_T of length 1 and n x d_V; zeros where missing."""
    text, image = (
        torch.stack([torch.zeros(width) if row is None else mean_of(row.float()) for row in side])
        for side, width in zip(zip(*features, strict=True), widths, strict=True)
    )
    return unit_length(text), image
