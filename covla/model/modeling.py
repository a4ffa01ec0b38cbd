"""CoVLA: text tokens and image regions to one semantic location (equations: docs/model.md)."""

import math
from dataclasses import replace

import torch
from torch import Tensor, nn

from covla.model.alignment import masked_mean
from covla.model.baselines import make_alignment, make_fusion
from covla.model.batch import Batch, Inputs, complete, hide_one_side
from covla.model.configuration import CovlaConfig
from covla.model.context_graph import ContextGraph
from covla.model.context_nodes import ContextNodes
from covla.model.label_nodes import LabelNodes
from covla.model.losses import cross_entropy, distillation, info_nce
from covla.model.output import CovlaOutput
from covla.model.projection import Projection
from covla.model.towers import Towers


class Covla(nn.Module):
    """Towers (when `with_towers`), context graph, CAM, CMF, classifier.

    `forward` reads from top to bottom: encode, align, fuse, classify, losses. A `Batch` has token
    and region features of frozen towers, or raw ids and pixels when the towers are part of the
    model. `CovlaModel` is the same as a transformers model.
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

    def forward(self, batch: Batch) -> CovlaOutput:
        """One batch to logits, and to a loss where there are labels or a teacher."""
        inputs = complete(self.config, self.run_towers(batch))
        label_logits = batch.label_logits
        if self.label_nodes is not None and label_logits is None:
            label_logits = self.label_nodes(
                inputs.tokens, inputs.token_mask, inputs.regions, inputs.has_image
            )
        if self.training:
            inputs = hide_one_side(inputs, self.config.modality_dropout)
        h_t, h_v, h_c, known = self.encode(inputs, label_logits)
        z_t, z_v, attention = self.alignment(h_t, inputs.token_mask, h_v, inputs.has_image)
        z_c = masked_mean(h_c, known)
        h_f, gate = self.fusion(z_t, z_v, z_c, inputs.has_text, inputs.has_image)
        logits, votes = self.classify(h_f, gate, label_logits, known)
        both = inputs.has_text & inputs.has_image
        losses = self.losses(batch, logits, z_t, z_v, h_f, both)
        weights = {"kd": self.config.kd_weight}
        total = [weights.get(name, 1.0) * value for name, value in losses.items()]
        loss = torch.stack(total).sum() if total else None
        return CovlaOutput(
            loss, logits, gate, attention, z_t, z_v, h_f, losses or None, label_logits, votes
        )

    def run_towers(self, batch: Batch) -> Batch:
        """Tokens and regions of raw ids and pixels, where the towers are part of the model."""
        if self.towers is not None and batch.input_ids is not None:
            mask = batch.attention_mask
            assert mask is not None
            tokens = self.towers.text(batch.input_ids, mask)
            batch = replace(batch, tokens=tokens, token_mask=mask.bool())
        if self.towers is not None and batch.pixel_values is not None:
            batch = replace(batch, regions=self.towers.image(batch.pixel_values))
        return batch

    def encode(
        self, inputs: Inputs, label_logits: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """h_T (B x T x d), h_V (B x R x d), h_C (B x K' x d) and the mask of context nodes (B x
        K'), label nodes last; through the context graph where there is one."""
        token_mask, has_image = inputs.token_mask, inputs.has_image
        h_t = self._noisy(self.text(inputs.tokens)) * token_mask[..., None]
        h_v = self._noisy(self.image(inputs.regions)) * has_image[:, None, None]
        h_c, known = self.context(inputs.context), inputs.context_mask
        if self.label_nodes is not None and label_logits is not None:
            h_c = torch.cat([h_c, self.label_nodes.nodes(label_logits)], 1)
            known = torch.cat([known, self.label_nodes.mask(inputs.has_text, has_image)], 1)
        if self.training:
            keep = torch.rand(known.shape, device=known.device)
            known = known & (keep >= self.config.context_dropout)
        h_c = h_c * known[..., None]
        if self.context_graph is not None:
            seen = has_image[:, None].expand(-1, h_v.shape[1])
            mask = torch.cat([token_mask, seen, known], 1)
            h_t, h_v, h_c = self.context_graph(h_t, h_v, h_c, mask)
        return h_t, h_v, h_c, known

    def classify(
        self, h_f: Tensor, gate: Tensor, label_logits: Tensor | None, known: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """B x C logits, and how much of each label node is in them (B x 3)."""
        logits = self.fusion.classify(h_f)
        if self.label_nodes is None or label_logits is None:
            return logits, None
        votes = self.label_nodes.votes_of(known[:, -label_logits.shape[1] :], gate)
        return logits + (label_logits * votes[..., None]).sum(1), votes

    def losses(
        self, batch: Batch, logits: Tensor, z_t: Tensor, z_v: Tensor, h_f: Tensor, both: Tensor
    ) -> dict[str, Tensor]:
        """The parts of the loss by name: info_nce or ce, and kd where there is a teacher."""
        losses: dict[str, Tensor] = {}
        if batch.pretraining:
            scale = self.log_scale.exp().clamp(max=100.0)
            losses["info_nce"] = info_nce(z_t, z_v, both, scale)
        elif batch.labels is not None:
            losses["ce"] = cross_entropy(logits, batch.labels)
        teacher, has_teacher = batch.teacher, batch.has_teacher
        if teacher is not None and has_teacher is not None and self.projection is not None:
            literal = self.config.kd_literal
            losses["kd"] = distillation(self.projection(h_f), teacher, has_teacher, literal=literal)
        return losses

    def _noisy(self, values: Tensor) -> Tensor:
        scale: float = self.config.feature_noise if self.training else 0.0
        return values + scale * torch.randn_like(values) if scale else values

    def probabilities(self, logits: Tensor) -> Tensor:
        """B x C logits to calibrated probabilities, by the fitted temperature."""
        temperature: float = self.config.softmax_temperature
        return (logits / temperature).softmax(-1)
