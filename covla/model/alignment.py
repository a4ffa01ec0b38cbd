"""CAM, cross-modal attention: which regions each token speaks of."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from covla.model.configuration import CovlaConfig


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over dimension 1 of B x N x d where `mask` (B x N) is true; zeros where none is."""
    weight = mask.to(values.dtype)[..., None]
    return (values * weight).sum(1) / weight.sum(1).clamp(min=1.0)


def attend(tokens: Tensor, regions: Tensor, tau: Tensor | float) -> Tensor:
    """A, B x T x R: softmax over regions of cosine(token, region) / tau (paper: tau = 1)."""
    similarity = F.normalize(tokens, dim=-1) @ F.normalize(regions, dim=-1).transpose(1, 2)
    return (similarity / tau).softmax(-1)


class CrossModalAlignment(nn.Module):
    """z_T and z_V of a post.

    `cam` learns its temperature as CLIP does (ours: the paper's tau = 1 over cosines is nearly a
    mean pool), `paper` keeps tau = 1, `mean` pools the regions and attends to nothing.
    """

    def __init__(self, config: CovlaConfig) -> None:
        super().__init__()
        self.kind = config.alignment
        if self.kind == "cam":
            self.log_scale = nn.Parameter(torch.zeros(()))

    @property
    def tau(self) -> Tensor | float:
        """The temperature; its inverse never exceeds 100."""
        return 1 / self.log_scale.exp().clamp(max=100.0) if self.kind == "cam" else 1.0

    def forward(
        self, tokens: Tensor, token_mask: Tensor, regions: Tensor, has_image: Tensor
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """B x T x d, B x T, B x R x d, B -> z_T B x d, z_V B x d, A B x T x R (None for `mean`).

        z_T is the masked mean of the tokens, z_V that of h~_V = A h_V (the only product whose
        shapes fit: ours). A post without text has no token to attend from: its z_V is the mean
        of its regions (ours). What is missing is zeros.
        """
        z_t = masked_mean(tokens, token_mask)
        pooled = regions.mean(1) * has_image[:, None]
        if self.kind == "mean":
            return z_t, pooled, None
        attention = attend(tokens, regions, self.tau)
        # mean_i (A h_V)_i = (mean_i A_i) h_V: the same number for less work. OpenVINO 2026.4 also
        # turns softmax followed by a product into its own attention, which returned noise here.
        share = masked_mean(attention, token_mask)
        z_v = (share[:, None] @ regions)[:, 0] * has_image[:, None]
        return z_t, torch.where(token_mask.any(1)[:, None], z_v, pooled), attention
