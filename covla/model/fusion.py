"""CMF, cross-modal fusion: how much of a post is decided by its text, how much by its image."""

import torch
from torch import Tensor, nn

from covla.model.configuration import CovlaConfig


class Fusion(nn.Module):
    """What every fusion is: z_T, z_V, z_C and presence -> h_F and the gate; h_F -> logits."""

    def __init__(self, config: CovlaConfig, width: int | None = None) -> None:
        super().__init__()
        self.dropout = nn.Dropout(config.dropout)
        self.width = width or config.width
        self.classifier = nn.Linear(self.width, len(config.labels))

    def classify(self, fused: Tensor) -> Tensor:
        """p = softmax(W h_F + b) without its softmax (ours): B x width -> B x C."""
        logits: Tensor = self.classifier(self.dropout(fused))
        return logits


class CrossModalFusion(Fusion):
    """h_F = g * t + (1 - g) * v with t = tanh(W_t z_T), v = tanh(W_v z_V) (h_F: paper).

    g = sigmoid(W_g [z_T ; z_V ; z_C] + b) per dimension: ours, in the form of the gated multimodal
    unit (Arevalo et al. 2017, arXiv 1702.01992). No image: g = 1. No text: g = 0.
    """

    def __init__(self, config: CovlaConfig) -> None:
        super().__init__(config)
        d = config.width
        self.with_context = config.fusion == "cmf"
        self.text = nn.Linear(d, d)
        self.image = nn.Linear(d, d)
        self.gate = nn.Linear((3 if self.with_context else 2) * d, d)

    def forward(
        self, z_t: Tensor, z_v: Tensor, z_c: Tensor, has_text: Tensor, has_image: Tensor
    ) -> tuple[Tensor, Tensor]:
        """B x d each, presence B -> h_F B x d, and the share of text per post, B in 0..1."""
        parts = [z_t, z_v, z_c] if self.with_context else [z_t, z_v]
        g = torch.sigmoid(self.gate(torch.cat(parts, -1)))
        g = torch.where(has_image[:, None], g, torch.ones_like(g))
        g = torch.where(has_text[:, None], g, torch.zeros_like(g))
        fused = g * torch.tanh(self.text(z_t)) + (1 - g) * torch.tanh(self.image(z_v))
        return fused, g.mean(-1)
