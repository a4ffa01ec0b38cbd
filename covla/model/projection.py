"""Features of a frozen tower to the common width."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LEAST = 1e-3  # standard deviation of features that differ, in units of their own LayerNorm


class Projection(nn.Module):
    """LayerNorm, principal components of the training posts where they are asked for, Linear.

    The LayerNorm has no scale and shift, which the Linear can learn as well. The components are
    fixed once they are fitted: a fifth of the weights that can overfit, and training reads features
    that were reduced once (ours; docs/adr/0013-label-nodes.md has what it gives).
    """

    mean: Tensor
    basis: Tensor

    def __init__(self, wide: int, width: int, components: int = 0) -> None:
        """From `wide` to `width`, by way of `components`; 0, or as many as `wide`: without."""
        super().__init__()
        self.wide = wide
        self.components = components if components < wide else 0
        if self.components:
            self.register_buffer("mean", torch.zeros(wide))
            self.register_buffer("basis", torch.eye(wide)[:, : self.components].clone())
        self.linear = nn.Linear(self.components or wide, width)

    @torch.no_grad()
    def fit(self, features: Tensor) -> None:
        """Find the components of n x wide features, scaled to unit variance over all of them;
        features that do not differ are not scaled, as there is only rounding to be blown up."""
        normed = F.layer_norm(features, (self.wide,))
        mean = normed.mean(0)
        values, vectors = torch.linalg.eigh((normed - mean).T @ (normed - mean) / len(normed))
        kept = values[-self.components :].clamp(min=0)
        scale = kept.mean().sqrt()
        self.mean.copy_(mean)
        self.basis.copy_(
            vectors[:, -self.components :].flip(-1) / torch.where(scale > LEAST, scale, 1)
        )

    def reduce(self, features: Tensor) -> Tensor:
        """... x wide to ... x components; to ... x wide without components."""
        normed = F.layer_norm(features, (self.wide,))
        return (normed - self.mean) @ self.basis if self.components else normed

    def forward(self, features: Tensor) -> Tensor:
        """... x wide, or what `reduce` made of it, to ... x width."""
        if not self.components or features.shape[-1] != self.components:
            features = self.reduce(features)
        projected: Tensor = self.linear(features)
        return projected
