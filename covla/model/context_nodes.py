"""Context inputs to nodes of the context graph."""

import torch
from torch import Tensor, nn

from covla.model.configuration import CovlaConfig
from covla.model.context import Layout


class ContextNodes(nn.Module):
    """Context inputs, standardised per node, to nodes of the common width."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: CovlaConfig) -> None:
        super().__init__()
        self.layout = Layout.of(config)
        shape = (self.layout.nodes, self.layout.width)
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("std", torch.ones(shape))
        self.projections = nn.ModuleList(
            nn.Linear(width, config.width) for *_, width in self.layout.kinds
        )
        self.norm = nn.LayerNorm(config.width)
        self.width = config.width

    def forward(self, context: Tensor) -> Tensor:
        """B x K x W to B x K x d. Outliers are held at 4 standard deviations."""
        standard = ((context - self.mean) / self.std).clamp(-4, 4)
        nodes = [
            projection(standard[:, first : first + count, :width])
            for projection, (_, first, count, width) in zip(
                self.projections, self.layout.kinds, strict=True
            )
        ]
        if not nodes:
            return context.new_zeros(context.shape[0], 1, self.width)
        normed: Tensor = self.norm(torch.cat(nodes, 1))
        return normed
