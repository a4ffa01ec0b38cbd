"""The losses as small pure functions."""

import torch
from torch import Tensor
from torch.nn import functional as F


def info_nce(z_t: Tensor, z_v: Tensor, both: Tensor, scale: Tensor | float) -> Tensor:
    """Symmetric InfoNCE between the two sides of each post (stage 1; Radford et al. 2021).

    Args:
        z_t, z_v: B x d, any length.
        both: B, true for posts that have text and image; others take no part.
        scale: inverse temperature.

    Returns:
        A scalar; 0 when fewer than two posts have both sides, as nothing can be told apart.
    """
    z_t, z_v = z_t[both], z_v[both]
    if len(z_t) < 2:
        return z_t.sum() * 0.0
    similarity = scale * F.normalize(z_t, dim=-1) @ F.normalize(z_v, dim=-1).T
    target = torch.arange(len(z_t), device=z_t.device)
    return (F.cross_entropy(similarity, target) + F.cross_entropy(similarity.T, target)) / 2


def distillation(
    projected: Tensor, teacher: Tensor, has_teacher: Tensor, *, literal: bool
) -> Tensor:
    """L_KD = norm(P(h_F) - h_pretrained)^2 (paper), averaged over posts that have a teacher vector.

    `literal` sums over dimensions as the paper writes it; otherwise they are averaged (ours), so
    that lambda means the same for every teacher width.
    """
    squared = (projected - teacher).square()[has_teacher]
    if not len(squared):
        return projected.sum() * 0.0
    return (squared.sum(-1) if literal else squared.mean(-1)).mean()


def cross_entropy(logits: Tensor, labels: Tensor, *, smoothing: float = 0.0) -> Tensor:
    """L_CE over posts with a label; `labels` is B, -100 where there is none."""
    known = labels >= 0
    if not known.any():
        return logits.sum() * 0.0
    return F.cross_entropy(logits[known], labels[known], label_smoothing=smoothing)
