"""What CoVLA is measured against: simpler fusions of the same features, by the same trainer."""

from typing import Any

import torch
from torch import Tensor, nn

from covla.errors import CovlaError
from covla.model.alignment import CrossModalAlignment
from covla.model.configuration import CovlaConfig
from covla.model.cross_attention import CrossAttention, SimilarityGuided
from covla.model.fusion import CrossModalFusion, Fusion

_PLAIN = {"graph": False, "label_nodes": False, "alignment": "mean", "context_nodes": []}

# What `--arch` changes in the configuration.
ARCHS: dict[str, dict[str, Any]] = {
    "covla": {},
    "text": _PLAIN | {"fusion": "text", "modality_dropout": 0.0},
    "image": _PLAIN | {"fusion": "image", "modality_dropout": 0.0},
    "concat": _PLAIN | {"fusion": "concat"},
    "late": _PLAIN | {"fusion": "late"},
    "gate": _PLAIN | {"fusion": "gate"},
    "xattn": _PLAIN | {"alignment": "xattn", "fusion": "concat"},
    "sgmft": _PLAIN | {"alignment": "sgmft", "fusion": "concat"},
}


def arch_overrides(arch: str) -> dict[str, Any]:
    """The configuration fields that make `arch`.

    Raises:
        CovlaError: there is no such architecture.
    """
    if arch not in ARCHS:
        raise CovlaError(f"arch: {arch!r} is not one of {', '.join(ARCHS)}")
    return dict(ARCHS[arch])


def _share(has_text: Tensor, has_image: Tensor) -> Tensor:
    # A fusion without a gate has no share of its own: half, or all where one side is missing.
    text, image = has_text.float(), has_image.float()
    return text / (text + image).clamp(min=1.0)


class Single(Fusion):
    """One modality alone."""

    def __init__(self, config: CovlaConfig) -> None:
        super().__init__(config)
        self.use_text = config.fusion == "text"

    def forward(
        self, z_t: Tensor, z_v: Tensor, z_c: Tensor, has_text: Tensor, has_image: Tensor
    ) -> tuple[Tensor, Tensor]:
        """As `CrossModalFusion`; the gate is 1 for text and 0 for image."""
        share = torch.ones_like(z_t[:, 0]) * float(self.use_text)
        return (z_t if self.use_text else z_v), share


class Concat(Fusion):
    """[z_T ; z_V] into the classifier."""

    def __init__(self, config: CovlaConfig) -> None:
        super().__init__(config, 2 * config.width)

    def forward(
        self, z_t: Tensor, z_v: Tensor, z_c: Tensor, has_text: Tensor, has_image: Tensor
    ) -> tuple[Tensor, Tensor]:
        """As `CrossModalFusion`; h_F is B x 2d."""
        return torch.cat([z_t, z_v], -1), _share(has_text, has_image)


class Late(Concat):
    """One classifier per modality, probabilities averaged over what is there."""

    def __init__(self, config: CovlaConfig) -> None:
        super().__init__(config)
        del self.classifier  # one per side instead
        self.sides = nn.ModuleList(nn.Linear(config.width, len(config.labels)) for _ in range(2))

    def classify(self, fused: Tensor) -> Tensor:
        """Logarithm of the averaged probabilities, B x C; a missing side is all zeros."""
        sides = fused.chunk(2, -1)
        weights = torch.stack([side.abs().amax(-1) > 0 for side in sides], -1).to(fused.dtype)
        weights = weights / weights.sum(-1, keepdim=True).clamp(min=1.0)
        each = [
            layer(self.dropout(side)).softmax(-1) * weights[:, i, None]
            for i, (layer, side) in enumerate(zip(self.sides, sides, strict=True))
        ]
        mixed: Tensor = each[0] + each[1]
        return mixed.clamp(min=1e-9).log()


def make_alignment(config: CovlaConfig) -> nn.Module:
    """What `config.alignment` names: tokens and regions to z_T, z_V and A."""
    others = {"xattn": CrossAttention, "sgmft": SimilarityGuided}
    return others.get(config.alignment, CrossModalAlignment)(config)


def make_fusion(config: CovlaConfig) -> Fusion:
    """The fusion that `config.fusion` names."""
    others = {"concat": Concat, "late": Late, "text": Single, "image": Single}
    return others.get(config.fusion, CrossModalFusion)(config)
