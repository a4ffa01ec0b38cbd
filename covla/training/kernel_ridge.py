"""Kernel ridge classification, with what it says of each of its own posts as if left out."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

SUPPORT = 4000  # labelled posts that a classifier is made of: its cost grows with their cube
MIN_ANCHORS = 1600
WIDTHS = (1.0, 2.0, 3.0)  # inverse width of the kernel, over the mean squared distance
RIDGES = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
SCALES = np.geomspace(0.25, 32, 43)  # from ridge scores to logits


@dataclass(frozen=True)
class KernelRidge:
    """scores = exp(-inverse_width * squared distance to the m posts) @ weights (m x C); logits are
    scale * scores. inverse: m x m, of kernel and ridge. together: the posts that are left out as
    one, lists of indices in 0..m."""

    inverse_width: float
    scale: float
    weights: Tensor
    inverse: Tensor
    together: list[Tensor]

    def scores(self, distance: Tensor) -> Tensor:
        """n x m squared distances to n x C."""
        return torch.exp(-self.inverse_width * distance) @ self.weights

    def scores_without(self, distance: Tensor, left_out: Tensor) -> Tensor:
        """n x C as if row i had been fitted without post left_out[i], which may be the row's own or
        the one that it is a copy of, and without the posts that share its content. The rest's
        weights have a closed form.

        Args:
            distance: n x m. left_out: n, indices in 0..m.
        """
        kernel = torch.exp(-self.inverse_width * distance)
        pull = (kernel * self.inverse[left_out]).sum(1) / self.inverse.diagonal()[left_out]
        scores = kernel @ self.weights - pull[:, None] * self.weights[left_out]
        for members in self.together:
            rows = torch.nonzero(torch.isin(left_out, members)).flatten()
            lost = _left_out_together(self.inverse, self.weights, members)
            scores[rows] = kernel[rows] @ (self.weights - self.inverse[:, members] @ lost)
        return scores


def _left_out_together(inverse: Tensor, weights: Tensor, members: Tensor) -> Tensor:
    """What the targets of `members` are above what a fit without them says of them."""
    lost: Tensor = torch.linalg.solve(inverse[members][:, members], weights[members])
    return lost


def groups_together(groups: Tensor) -> list[Tensor]:
    """Indices of each group that has several members; groups: m numbers."""
    order = torch.argsort(groups, stable=True)
    parts = torch.split(order, torch.unique(groups, return_counts=True)[1].tolist())
    return [part.sort().values for part in parts if len(part) > 1]


def anchors_of(labelled: Tensor, seed: int, others: Tensor | None = None) -> Tensor:
    """Indices of the posts to use: all that are `labelled` (n), or a draw of `SUPPORT` of them; and
    a draw of `others` (n), as many as are missing to `MIN_ANCHORS`."""

    def draw(usable: Tensor, number: int) -> Tensor:
        found = torch.nonzero(usable).flatten()
        order = torch.randperm(len(found), generator=torch.Generator().manual_seed(seed))
        return found[order[:number]].sort().values

    chosen = draw(labelled, SUPPORT)
    if others is None or len(chosen) >= MIN_ANCHORS:
        return chosen
    return torch.cat([chosen, draw(others, MIN_ANCHORS - len(chosen))])


def best_scale(scores: Tensor, labels: Tensor) -> tuple[float, float]:
    """The least cross-entropy of softmax(scale * scores) on `labels`, and its scale."""
    losses = [float(F.cross_entropy(scale * scores, labels)) for scale in SCALES]
    best = int(np.argmin(losses))
    return losses[best], float(SCALES[best])


def fit_kernel_ridge(
    distance: Tensor,
    labels: Tensor,
    classes: int,
    guesses: Tensor | None = None,
    inverse_width: float | None = None,
    groups: Tensor | None = None,
) -> KernelRidge:
    """Width, ridge and scale are those with the least cross-entropy on the labelled posts left out,
    which has a closed form (Cawley and Talbot 2004).

    Args:
        distance: m x m squared distances, float64.
        labels: m, -1 for none.
        guesses: m x C probabilities, of the posts without a label; None when all have one.
        inverse_width: the kernel's, where it is known: most of the time goes into its choice.
        groups: m numbers; posts of one group share content and are left out together.
    """
    together = [] if groups is None else groups_together(groups)
    known = labels >= 0
    target = F.one_hot(labels.clamp(min=0), classes).to(distance.dtype)
    if guesses is not None:
        target = torch.where(known[:, None], target, guesses.to(distance.dtype))
    target = target - 1 / classes
    unit = float(distance.mean().clamp(min=1e-9))
    tried = [width / unit for width in WIDTHS] if inverse_width is None else [inverse_width]
    best: tuple[float, float, float, Tensor, Tensor, Tensor] | None = None
    for width in tried:
        values, vectors = torch.linalg.eigh(torch.exp(-width * distance))
        for ridge in RIDGES:
            scaled = vectors / (values.clamp(min=0) + ridge)
            weights = scaled @ (vectors.T @ target)
            left_out = target - weights / (scaled * vectors).sum(1, keepdim=True)
            for members in together:
                block = scaled[members] @ vectors[members].T
                left_out[members] = target[members] - torch.linalg.solve(block, weights[members])
            loss, scale = best_scale(left_out[known], labels[known])
            if best is None or loss < best[0]:
                best = loss, width, scale, weights, scaled, vectors
    assert best is not None
    _, width, scale, weights, scaled, vectors = best
    return KernelRidge(width, scale, weights, scaled @ vectors.T, together)
