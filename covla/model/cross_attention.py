"""Baselines whose sides read each other: cross-attention, and a similarity-guided form of it."""

from torch import Tensor, nn
from torch.nn import functional as F

from covla.model.alignment import masked_mean
from covla.model.configuration import CovlaConfig

HEADS = 4

Pooled = tuple[Tensor, Tensor, Tensor | None]


class Attention(nn.Module):
    """Multi-head attention (Vaswani et al. 2017) of `queries` over the `values` that are there.

    Written out, since OpenVINO 2026.4 replaces softmax followed by a product by its own attention,
    which returned noise here (see alignment.py). Nothing there to attend to gives zeros.
    """

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.heads = next(n for n in range(HEADS, 0, -1) if width % n == 0)
        self.query, self.out = nn.Linear(width, width), nn.Linear(width, width)
        self.pair = nn.Linear(width, 2 * width)
        self.dropout = nn.Dropout(dropout)

    def _split(self, rows: Tensor) -> Tensor:
        batch, n, width = rows.shape
        return rows.reshape(batch, n, self.heads, width // self.heads).transpose(1, 2)

    def forward(self, queries: Tensor, values: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
        """B x N x d, B x M x d, B x M -> B x N x d, and the shares per head, B x H x N x M."""
        query = self._split(self.query(queries))
        key, value = (self._split(part) for part in self.pair(values).chunk(2, -1))
        scores = query @ key.transpose(2, 3) / query.shape[-1] ** 0.5
        odds = (scores - scores.amax(-1, keepdim=True)).exp() * there[:, None, None, :]
        share = odds / odds.sum(-1, keepdim=True).clamp(min=1e-9)
        read = (share @ value).transpose(1, 2).flatten(2)
        return self.dropout(self.out(read)) * there.any(1)[:, None, None], share


def _feed_forward(width: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(),
        nn.Linear(2 * width, width), nn.Dropout(dropout),
    )  # fmt: skip


class CrossAttention(nn.Module):
    """Tokens read regions and regions read tokens, one pre-norm block each, then means.

    The form of two-stream co-attention (ViLBERT, Lu et al. 2019), one layer deep.
    """

    def __init__(self, config: CovlaConfig) -> None:
        super().__init__()
        d = config.width
        self.norms = nn.ModuleList(nn.LayerNorm(d) for _ in range(2))
        self.reads = nn.ModuleList(Attention(d, config.dropout) for _ in range(2))
        self.feeds = nn.ModuleList(_feed_forward(d, config.dropout) for _ in range(2))

    def forward(
        self, tokens: Tensor, token_mask: Tensor, regions: Tensor, has_image: Tensor
    ) -> Pooled:
        """As `CrossModalAlignment`; A is the share of tokens over regions."""
        seen = has_image[:, None].expand(-1, regions.shape[1])
        t, v = self.norms[0](tokens), self.norms[1](regions)
        from_regions, share = self.reads[0](t, v, seen)
        from_tokens, _ = self.reads[1](v, t, token_mask)
        tokens, regions = tokens + from_regions, regions + from_tokens
        tokens, regions = tokens + self.feeds[0](tokens), regions + self.feeds[1](regions)
        return masked_mean(tokens, token_mask), masked_mean(regions, seen), share.mean(1)


class SimilarityGuided(nn.Module):
    """After SG-MFT (Zhang et al. 2024, arXiv 2405.05760), on the features of this project.

    Coarse: how alike text and image are as wholes decides how far each side reads the other
    instead of itself. Fine: each token's and region's own similarity to the other side weighs
    its feed-forward block. Then both sides are fused by cross-attention. The paper's abstract
    names these parts; their exact form here is ours.
    """

    def __init__(self, config: CovlaConfig) -> None:
        super().__init__()
        d, dropout = config.width, config.dropout
        self.norms = nn.ModuleList(nn.LayerNorm(d) for _ in range(2))
        self.own = nn.ModuleList(Attention(d, dropout) for _ in range(2))
        self.other = nn.ModuleList(Attention(d, dropout) for _ in range(2))
        self.feeds = nn.ModuleList(_feed_forward(d, dropout) for _ in range(2))
        self.fuse = CrossAttention(config)

    def forward(
        self, tokens: Tensor, token_mask: Tensor, regions: Tensor, has_image: Tensor
    ) -> Pooled:
        """As `CrossModalAlignment`; A is the share of tokens over regions while fusing."""
        masks = token_mask, has_image[:, None].expand(-1, regions.shape[1])
        sides = tokens, regions
        wholes = [
            F.normalize(masked_mean(side, mask), dim=-1)
            for side, mask in zip(sides, masks, strict=True)
        ]
        alike = (1 + (wholes[0] * wholes[1]).sum(-1)) / 2
        alike = (alike * token_mask.any(1) * has_image)[:, None, None]
        unit = [F.normalize(side, dim=-1) for side in sides]
        # Zeros where a row is masked: such rows are never the most similar by more than chance.
        cosine = unit[0] @ unit[1].transpose(1, 2)
        nearest = [cosine.amax(2).clamp(min=0), cosine.amax(1).clamp(min=0)]
        normed = [norm(side) for norm, side in zip(self.norms, sides, strict=True)]
        mixed = []
        for i in range(2):
            own, _ = self.own[i](normed[i], normed[i], masks[i])
            other, _ = self.other[i](normed[i], normed[1 - i], masks[1 - i])
            row = sides[i] + (1 - alike) * own + alike * other
            mixed.append(row + nearest[i][..., None] * self.feeds[i](row))
        fused: Pooled = self.fuse(mixed[0], token_mask, mixed[1], has_image)
        return fused
