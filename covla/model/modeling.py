"""CoVLA: text tokens and image regions to one semantic location (equations: docs/model.md)."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from covla.model.alignment import masked_mean
from covla.model.baselines import make_alignment, make_fusion
from covla.model.configuration import CovlaConfig
from covla.model.context_graph import ContextGraph
from covla.model.context_nodes import ContextNodes
from covla.model.inputs import complete, hide_one_side
from covla.model.label_nodes import LabelNodes
from covla.model.losses import cross_entropy, distillation, info_nce
from covla.model.output import CovlaOutput
from covla.model.projection import Projection
from covla.model.towers import Towers


class Covla(nn.Module):
    """Towers (when `with_towers`), context graph, CAM, CMF, classifier.

    `forward` takes token and region features of frozen towers, or raw ids and pixels when the
    towers are part of the model. `CovlaModel` is the same as a transformers model.
    """

    def __init__(self, config: CovlaConfig) -> None:
        super().__init__()
        self.config = config
        self.build(config)

    def build(self, config: CovlaConfig) -> None:
        """Every part that has weights."""
        self.towers = Towers(dict(config.encoders)) if config.with_towers else None
        self.text = Projection(config.text_width, config.width)
        self.image = Projection(config.image_width, config.width, config.image_components)
        self.context = ContextNodes(config)
        held = config.label_nodes and config.support
        self.label_nodes = LabelNodes(config) if held else None
        self.context_graph = ContextGraph(config) if config.graph else None
        self.alignment = make_alignment(config)
        self.fusion = make_fusion(config)
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))  # of InfoNCE, stage 1
        # P, training only: the student's fused vector to the teacher's width.
        wide = config.teacher_width
        self.projection = nn.Linear(self.fusion.width, wide) if wide else None

    def forward(
        self,
        tokens: Tensor | None = None,
        token_mask: Tensor | None = None,
        regions: Tensor | None = None,
        has_image: Tensor | None = None,
        context: Tensor | None = None,
        context_mask: Tensor | None = None,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        pixel_values: Tensor | None = None,
        said: Tensor | None = None,
        labels: Tensor | None = None,
        teacher: Tensor | None = None,
        has_teacher: Tensor | None = None,
        pretraining: bool = False,
        **_: Any,
    ) -> CovlaOutput:
        """One batch.

        Args:
            tokens, token_mask: B x T x d_T, and B x T true for real tokens; a post without text
                has none. Or `input_ids` and `attention_mask` (B x T).
            regions, has_image: B x R x d_V, or what `image.reduce` made of it, and B; rows without
                image are ignored. Or `pixel_values` (B x 3 x S x S, 0..255).
            context, context_mask: B x K x W and B x K, from `covla.model.context`.
            said: B x 3 x C, what the label nodes say; None: they are asked. Training gives it, as
                they may not speak of a post that they are made of.
            labels: B, -100 for posts without one.
            teacher, has_teacher: B x teacher width and B.
            pretraining: stage 1 (InfoNCE + L_KD, no labels); otherwise L_CE + lambda * L_KD.
        """
        if self.towers is not None and input_ids is not None and attention_mask is not None:
            tokens, token_mask = self.towers.text(input_ids, attention_mask), attention_mask.bool()
        if self.towers is not None and pixel_values is not None:
            regions = self.towers.image(pixel_values)
        tokens, token_mask, regions, has_image, context, context_mask = complete(
            self.config, tokens, token_mask, regions, has_image, context, context_mask
        )
        if self.label_nodes is not None and said is None:
            said = self.label_nodes.say(tokens, token_mask, regions, has_image)
        if self.training:
            token_mask, has_image = hide_one_side(
                token_mask, has_image, self.config.modality_dropout
            )
        h_t = self._noisy(self.text(tokens)) * token_mask[..., None]
        h_v = self._noisy(self.image(regions)) * has_image[:, None, None]
        h_c, known = self.context(context), context_mask.shape[1]
        if self.label_nodes is not None and said is not None:
            h_c = torch.cat([h_c, self.label_nodes.nodes(said)], 1)
            speaks = self.label_nodes.mask(token_mask.any(1), has_image)
            context_mask = torch.cat([context_mask, speaks], 1)
        if self.training:
            keep = torch.rand(context_mask.shape, device=context.device)
            context_mask = context_mask & (keep >= self.config.context_dropout)
        h_c = h_c * context_mask[..., None]
        if self.context_graph is not None:
            seen = has_image[:, None].expand(-1, h_v.shape[1])
            h_t, h_v, h_c = self.context_graph(
                h_t, h_v, h_c, torch.cat([token_mask, seen, context_mask], 1)
            )
        z_t, z_v, attention = self.alignment(h_t, token_mask, h_v, has_image)
        z_c = masked_mean(h_c, context_mask)
        has_text = token_mask.any(1)
        h_f, gate = self.fusion(z_t, z_v, z_c, has_text, has_image)
        logits = self.fusion.classify(h_f)
        votes = None
        if self.label_nodes is not None and said is not None:
            votes = self.label_nodes.votes_of(context_mask[:, known:], gate)
            logits = logits + (said * votes[..., None]).sum(1)
        losses: dict[str, Tensor] = {}
        if pretraining:
            scale = self.log_scale.exp().clamp(max=100.0)
            losses["info_nce"] = info_nce(z_t, z_v, has_text & has_image, scale)
        elif labels is not None:
            losses["ce"] = cross_entropy(logits, labels)
        if teacher is not None and has_teacher is not None and self.projection is not None:
            losses["kd"] = distillation(
                self.projection(h_f), teacher, has_teacher, literal=self.config.kd_literal
            )
        weights = {"kd": self.config.kd_weight}
        total = [weights.get(name, 1.0) * value for name, value in losses.items()]
        loss = torch.stack(total).sum() if total else None
        return CovlaOutput(
            loss, logits, gate, attention, z_t, z_v, h_f, losses or None, said, votes
        )

    def _noisy(self, values: Tensor) -> Tensor:
        scale: float = self.config.feature_noise if self.training else 0.0
        return values + scale * torch.randn_like(values) if scale else values

    def probabilities(self, logits: Tensor) -> Tensor:
        """B x C logits to calibrated probabilities, by the fitted temperature."""
        temperature: float = self.config.softmax_temperature
        return (logits / temperature).softmax(-1)
