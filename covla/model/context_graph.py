"""The context graph over tokens, regions and context nodes. Its existence is the paper's, its
form is ours (docs/model.md, section 5)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from covla.model.configuration import CovlaConfig


def normalise(weights: Tensor, mask: Tensor) -> Tensor:
    """D^-1/2 (W + I) D^-1/2, B x N x N; a masked node has no edges, not even its self loop.

    Args:
        weights: B x N x N, symmetric, not negative.
        mask: B x N, true for nodes that are there.
    """
    there = mask.to(weights.dtype)
    eye = torch.eye(weights.shape[1], dtype=weights.dtype, device=weights.device)
    weights = (weights * (1 - eye) + eye) * there[:, :, None] * there[:, None, :]
    scale = weights.sum(-1).clamp(min=1e-6).rsqrt() * there
    return weights * scale[:, :, None] * scale[:, None, :]


def grid_edges(rows: int, columns: int) -> Tensor:
    """4-neighbour edges of a grid of regions, R x R of 0 and 1."""
    place = torch.arange(rows * columns)
    row, column = place // columns, place % columns
    apart = (row[:, None] - row).abs() + (column[:, None] - column).abs()
    return (apart == 1).float()


class ContextGraph(nn.Module):
    """Residual graph layers: H <- H + ReLU(LN(A H W)), edges weighted by relu(cos)."""

    grid: Tensor

    def __init__(self, config: CovlaConfig) -> None:
        super().__init__()
        self.window, self.neighbours = config.window, config.neighbours
        self.register_buffer("grid", grid_edges(*config.grid))
        layers = range(config.graph_layers)
        self.weights = nn.ModuleList(nn.Linear(config.width, config.width) for _ in layers)
        norms = [nn.LayerNorm(config.width) for _ in layers]
        for norm in norms:
            # Starts near the identity: the graph has to earn its influence (ours).
            nn.init.constant_(norm.weight, config.graph_gain)
        self.norms = nn.ModuleList(norms)

    def edges(self, cosine: Tensor, tokens: int, context: int) -> Tensor:
        """Which pairs of nodes are joined, B x N x N of 0 and 1. N = T + R + K in that order.

        Token to token within the window, region to region on the grid, token to region for each
        token's nearest by `cosine` (B x T x R; the choice has no gradient), context to all.
        """
        batch, regions = cosine.shape[0], self.grid.shape[0]
        place = torch.arange(tokens, device=cosine.device)
        near = ((place[:, None] - place).abs() <= self.window).to(cosine.dtype)
        fixed = cosine.detach()
        least = fixed.topk(min(self.neighbours, regions), dim=-1).values[..., -1:]
        across = (fixed >= least).to(cosine.dtype)
        near = near.expand(batch, -1, -1)
        grid = self.grid.to(cosine.dtype).expand(batch, -1, -1)
        upper = torch.cat([near, across], 2)
        lower = torch.cat([across.transpose(1, 2), grid], 2)
        return F.pad(torch.cat([upper, lower], 1), (0, context, 0, context), value=1.0)

    def forward(
        self, tokens: Tensor, regions: Tensor, context: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Refine B x T x d tokens, B x R x d regions, B x K x d context; `mask` B x (T + R + K)."""
        sizes = [tokens.shape[1], regions.shape[1], context.shape[1]]
        nodes = torch.cat([tokens, regions, context], 1) * mask[..., None]
        unit = F.normalize(nodes, dim=-1)
        cosine = unit @ unit.transpose(1, 2)
        across = cosine[:, : sizes[0], sizes[0] : sizes[0] + sizes[1]]
        joined = self.edges(across, sizes[0], sizes[2])
        graph = normalise(cosine.relu() * joined, mask)
        for weight, norm in zip(self.weights, self.norms, strict=True):
            nodes = nodes + norm(graph @ weight(nodes)).relu() * mask[..., None]
        first, second = sizes[0], sizes[0] + sizes[1]
        return nodes[:, :first], nodes[:, first:second], nodes[:, second:]
