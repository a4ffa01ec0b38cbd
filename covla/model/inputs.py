"""The inputs of a forward pass, completed where a modality or the context is not there."""

import torch
from torch import Tensor

from covla.model.configuration import CovlaConfig
from covla.model.context import Layout


def complete(
    config: CovlaConfig,
    tokens: Tensor | None,
    token_mask: Tensor | None,
    regions: Tensor | None,
    has_image: Tensor | None,
    context: Tensor | None,
    context_mask: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The same in the same order. What is missing is zeros under a mask that says so; a mask that
    is missing beside its values is all true.

    Raises:
        ValueError: neither tokens nor regions.
    """
    some = tokens if tokens is not None else regions
    if some is None:
        raise ValueError("give tokens, regions or both")
    batch = some.shape[0]

    def mask(*shape: int, there: bool) -> Tensor:
        return torch.full((batch, *shape), there, dtype=torch.bool, device=some.device)

    if tokens is None:
        tokens, token_mask = some.new_zeros(batch, 1, config.text_width), mask(1, there=False)
    elif token_mask is None:
        token_mask = mask(tokens.shape[1], there=True)
    if regions is None:
        regions = some.new_zeros(batch, config.regions, config.image_width)
        has_image = mask(there=False)
    elif has_image is None:
        has_image = mask(there=True)
    if context is None or context_mask is None:
        layout = Layout.of(config)
        context = some.new_zeros(batch, layout.nodes, layout.width)
        context_mask = mask(layout.nodes, there=False)
    assert token_mask is not None
    assert has_image is not None
    return tokens, token_mask, regions, has_image, context, context_mask


def hide_one_side(token_mask: Tensor, has_image: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """Modality dropout: of `share` of the posts that have both sides, one is hidden.

    Draws from torch's generator, which the trainer seeds.
    """
    draw = torch.rand(has_image.shape, device=has_image.device)
    both = token_mask.any(1) & has_image
    hide_text, hide_image = both & (draw < share / 2), both & (draw >= 1 - share / 2)
    return token_mask & ~hide_text[:, None], has_image & ~hide_image
