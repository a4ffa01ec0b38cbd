"""The inputs of a forward pass, and the same with blanks where a side or the context is missing."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from covla.model.configuration import CovlaConfig
from covla.model.context import Layout


@dataclass
class Batch:
    """B posts.

    tokens, token_mask: B x T x d_T, and B x T true for real tokens; a post without text has none.
    Or `input_ids` and `attention_mask` (B x T).
    regions, has_image: B x R x d_V, or what `image.reduce` made of it, and B; rows without image
    are ignored. Or `pixel_values` (B x 3 x S x S, 0..255).
    context, context_mask: B x K x W and B x K, from `covla.model.context`.
    label_logits: B x 3 x C of the label nodes; None: they are computed. Training gives them, as a
    node must abstain from the posts that it is made of.
    labels: B, -100 for posts without one.
    teacher, has_teacher: B x teacher width and B.
    pretraining: stage 1 (InfoNCE + L_KD, no labels); otherwise L_CE + lambda * L_KD.
    """

    tokens: Tensor | None = None
    token_mask: Tensor | None = None
    regions: Tensor | None = None
    has_image: Tensor | None = None
    context: Tensor | None = None
    context_mask: Tensor | None = None
    input_ids: Tensor | None = None
    attention_mask: Tensor | None = None
    pixel_values: Tensor | None = None
    label_logits: Tensor | None = None
    labels: Tensor | None = None
    teacher: Tensor | None = None
    has_teacher: Tensor | None = None
    pretraining: bool = False

    @classmethod
    def of_features(
        cls,
        tokens: Tensor,
        token_mask: Tensor,
        regions: Tensor,
        has_image: Tensor,
        context: Tensor,
        context_mask: Tensor,
    ) -> "Batch":
        """What serving has, in the order in which an exported head takes it."""
        return cls(tokens, token_mask, regions, has_image, context, context_mask)


@dataclass
class Inputs:
    """What every post of a batch has after the towers; shapes as in `Batch`."""

    tokens: Tensor
    token_mask: Tensor
    regions: Tensor
    has_image: Tensor
    context: Tensor
    context_mask: Tensor

    @property
    def has_text(self) -> Tensor:
        """B, true where there is a token."""
        return self.token_mask.any(1)


def complete(config: CovlaConfig, batch: Batch) -> Inputs:
    """The batch's features with zeros under a mask for what is missing; a mask that is missing
    beside its values is all true.

    Raises:
        ValueError: neither tokens nor regions.
    """
    tokens, token_mask = batch.tokens, batch.token_mask
    regions, has_image = batch.regions, batch.has_image
    context, context_mask = batch.context, batch.context_mask
    some = tokens if tokens is not None else regions
    if some is None:
        raise ValueError("give tokens, regions or both")
    size = some.shape[0]

    def mask(*shape: int, value: bool) -> Tensor:
        return torch.full((size, *shape), value, dtype=torch.bool, device=some.device)

    if tokens is None:
        tokens, token_mask = some.new_zeros(size, 1, config.text_width), mask(1, value=False)
    elif token_mask is None:
        token_mask = mask(tokens.shape[1], value=True)
    if regions is None:
        regions = some.new_zeros(size, config.regions, config.image_width)
        has_image = mask(value=False)
    elif has_image is None:
        has_image = mask(value=True)
    if context is None or context_mask is None:
        layout = Layout.of(config)
        context = some.new_zeros(size, layout.nodes, layout.width)
        context_mask = mask(layout.nodes, value=False)
    assert token_mask is not None
    assert has_image is not None
    return Inputs(tokens, token_mask, regions, has_image, context, context_mask)


def hide_one_side(inputs: Inputs, probability: float) -> Inputs:
    """Modality dropout: with `probability` one side of a post that has both is hidden.

    Draws from torch's generator, which the trainer seeds.
    """
    has_image = inputs.has_image
    draw = torch.rand(has_image.shape, device=has_image.device)
    both = inputs.has_text & has_image
    hide_text, hide_image = both & (draw < probability / 2), both & (draw >= 1 - probability / 2)
    return replace(
        inputs,
        token_mask=inputs.token_mask & ~hide_text[:, None],
        has_image=has_image & ~hide_image,
    )
