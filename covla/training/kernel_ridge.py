"""Kernel ridge classification, with what it says of each of its own posts as if left out."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

SUPPORT = 4000  # labelled posts that a classifier is made of: its cost grows with their cube
WIDTHS = (1.0, 2.0, 3.0)  # inverse width of the kernel, over the mean squared distance
RIDGES = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
SCALES = np.geomspace(0.25, 32, 43)  # from ridge scores to logits


@dataclass(frozen=True)
class KernelRidge:
    """scores = exp(-inverse_width * squared distance to the m posts) @ weights (m x C); logits are
    scale * scores. left_out: m x C scores of the posts themselves, each as if left out."""

    inverse_width: float
    scale: float
    weights: Tensor
    left_out: Tensor


def support_of(usable: Tensor, seed: int) -> Tensor:
    """Indices of the posts to use: all that are `usable` (n), or a draw of `SUPPORT` of them."""
    found = torch.nonzero(usable).flatten()
    order = torch.randperm(len(found), generator=torch.Generator().manual_seed(seed))
    return found[order[:SUPPORT]].sort().values


def best_scale(scores: Tensor, labels: Tensor) -> tuple[float, float]:
    """The least cross-entropy of softmax(scale * scores) on `labels`, and its scale."""
    losses = [float(F.cross_entropy(scale * scores, labels)) for scale in SCALES]
    best = int(np.argmin(losses))
    return losses[best], float(SCALES[best])


def fit_kernel_ridge(distance: Tensor, labels: Tensor, classes: int) -> KernelRidge:
    """Width, ridge and scale are those with the least cross-entropy on the posts left out, which
    has a closed form (Cawley and Talbot 2004).

    Args:
        distance: m x m squared distances, float64. labels: m.
    """
    target = F.one_hot(labels, classes).to(distance.dtype) - 1 / classes
    unit = float(distance.mean().clamp(min=1e-9))
    best: tuple[float, KernelRidge] | None = None
    for width in WIDTHS:
        values, vectors = torch.linalg.eigh(torch.exp(-width / unit * distance))
        for ridge in RIDGES:
            scaled = vectors / (values.clamp(min=0) + ridge)
            weights = scaled @ (vectors.T @ target)
            left_out = target - weights / (scaled * vectors).sum(1, keepdim=True)
            loss, scale = best_scale(left_out, labels)
            if best is None or loss < best[0]:
                best = loss, KernelRidge(width / unit, scale, weights, left_out)
    assert best is not None
    return best[1]
