"""What a forward pass returns."""

from dataclasses import dataclass

from torch import Tensor
from transformers.utils import ModelOutput


@dataclass
class CovlaOutput(ModelOutput):  # type: ignore[misc]
    """What `CovlaModel` returns; None where it was not asked for.

    loss: scalar, and `losses` its parts by name. logits: B x C, not yet divided by the
    temperature. gate: B, share of text in 0..1. attention: B x T x R. z_t, z_v: B x d.
    h_f: B x width of the fused vector. label_logits: B x 3 x C, of the label nodes, and
    votes: B x 3, how much of them is in the logits.
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    gate: Tensor | None = None
    attention: Tensor | None = None
    z_t: Tensor | None = None
    z_v: Tensor | None = None
    h_f: Tensor | None = None
    losses: dict[str, Tensor] | None = None
    label_logits: Tensor | None = None
    votes: Tensor | None = None
