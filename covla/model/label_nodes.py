"""Label nodes: what the labelled training posts say of a post, by how near they are to it.

The form in which a context graph earned its place (docs/adr/0013-label-nodes.md): edges run from
the post to labelled posts, weighted by an RBF kernel, instead of among tokens and regions. One
kernel ridge classifier (Saunders et al. 1998) each for text, image, and both together; they are
fitted in closed form before training (`covla.training.label_nodes`) and fixed in it.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from covla.model.alignment import masked_mean
from covla.model.configuration import CovlaConfig
from covla.model.model_config import EXPERTS


def signed_sqrt(values: Tensor) -> Tensor:
    """... x d to signed square roots at length 1, so that no single channel decides a distance
    (Hellinger kernel; Arandjelovic and Zisserman 2012). Zeros stay zeros."""
    return F.normalize(values.sign() * values.abs().sqrt(), dim=-1)


def squared_distance(rows: Tensor, support: Tensor) -> Tensor:
    """n x d and m x d, each of length 1, to n x m."""
    return (2 - 2 * rows @ support.T).clamp(min=0)


class LabelNodes(nn.Module):
    """Three nodes of C numbers each: log-probabilities, less their mean, by text, image and both.

    Buffers: `text` m x d_T and `image` m x d_V are the pooled embeddings of m training posts, not
    the posts themselves; `weights` 3 x m x C; `inverse_width` and `scale` 3.
    """

    text: Tensor
    image: Tensor
    weights: Tensor
    inverse_width: Tensor
    scale: Tensor

    def __init__(self, config: CovlaConfig) -> None:
        super().__init__()
        m, classes, kinds = config.support, len(config.labels), len(EXPERTS)
        self.register_buffer("text", torch.zeros(m, config.text_width))
        self.register_buffer("image", torch.zeros(m, config.image_width))
        self.register_buffer("weights", torch.zeros(kinds, m, classes))
        self.register_buffer("inverse_width", torch.ones(kinds))
        self.register_buffer("scale", torch.ones(kinds))
        self.projections = nn.ModuleList(nn.Linear(classes, config.width) for _ in EXPERTS)
        self.norm = nn.LayerNorm(config.width)
        # How much each is added to the classifier's logits: less than 1, as the three overlap.
        self.votes = nn.Parameter(torch.full((kinds,), 0.6))

    def forward(
        self, tokens: Tensor, token_mask: Tensor, regions: Tensor, has_image: Tensor
    ) -> Tensor:
        """B x T x d_T, B x T, B x R x d_V, B to B x 3 x C; zeros where a modality is missing."""
        pooled = F.normalize(masked_mean(tokens, token_mask), dim=-1), regions.mean(1)
        return self.of_pooled(*pooled, token_mask.any(1), has_image)

    def of_pooled(self, text: Tensor, image: Tensor, has_text: Tensor, has_image: Tensor) -> Tensor:
        """As `forward`, of B x d_T of length 1, B x d_V, and presence B."""
        image = signed_sqrt(image)
        near = squared_distance(text, self.text), squared_distance(image, self.image)
        apart = torch.stack([*near, (near[0] + near[1]) / 2])  # 3 x B x m
        kernel = torch.exp(-self.inverse_width[:, None, None] * apart)
        scores = (kernel @ self.weights) * self.scale[:, None, None]
        log_probs = scores.log_softmax(-1)
        logits = (log_probs - log_probs.mean(-1, keepdim=True)).transpose(0, 1)
        return logits * self.mask(has_text, has_image)[..., None]

    @staticmethod
    def mask(has_text: Tensor, has_image: Tensor) -> Tensor:
        """B x 3, true for nodes that are there."""
        return torch.stack([has_text, has_image, has_text & has_image], 1)

    def nodes(self, label_logits: Tensor) -> Tensor:
        """B x 3 x C to B x 3 x d."""
        parts = [layer(label_logits[:, k]) for k, layer in enumerate(self.projections)]
        normed: Tensor = self.norm(torch.stack(parts, 1))
        return normed

    def votes_of(self, mask: Tensor, gate: Tensor) -> Tensor:
        """B x 3 and the share of text B to how much each node is added to the logits, B x 3.

        The gate shares the vote out as it does h_F; both sides together count most where neither
        is in doubt (docs/adr/0014-noisy-copies.md).
        """
        share = torch.stack([2 * gate, 2 * (1 - gate), 4 * gate * (1 - gate)], 1)
        return self.votes * share * mask
