"""What the head takes of one post, as arrays."""

import numpy as np

from covla.model.context import Context, Layout
from covla.model.encoders import Encoded
from covla.model.model_config import ModelConfig
from covla.model.runtime.network import Arrays


def head_inputs(config: ModelConfig, encoded: Encoded, context: Context) -> Arrays:
    """tokens, token_mask, regions, has_image, context, context_mask of one post."""
    tokens, regions = encoded.tokens, encoded.regions
    if tokens is None:
        tokens = np.zeros((1, config.text_width), np.float32)
    if regions is None:
        regions = np.zeros((config.regions, config.image_width), np.float32)
    return (
        tokens[None],
        np.full((1, len(tokens)), encoded.tokens is not None),
        regions[None],
        np.array([encoded.regions is not None]),
        context.nodes[None],
        context.mask[None],
    )


def head_example(config: ModelConfig) -> Arrays:
    """One blank post, to trace with."""
    blank = Encoded(np.zeros((5, config.text_width), np.float32), None, None, None)
    layout = Layout.of(config)
    nothing = Context(
        np.zeros((layout.nodes, layout.width), np.float32), np.zeros(layout.nodes, np.bool_)
    )
    return head_inputs(config, blank, nothing)
