"""CoVLA as a transformers model, for training, saving and `AutoModel.from_pretrained`.

What serves runs `Covla` itself: transformers' base class takes five seconds to import on a slow
CPU, and nothing of it is used there.
"""

from typing import Any

import torch
from torch import nn
from transformers import AutoModel, PreTrainedModel

from covla.model.batch import Batch
from covla.model.configuration import CovlaConfig
from covla.model.modeling import Covla
from covla.model.output import CovlaOutput
from covla.model.towers import LOSS, ImageTower


class CovlaModel(Covla, PreTrainedModel):  # type: ignore[misc]
    """`Covla` with transformers' way to save and load."""

    config_class = CovlaConfig
    main_input_name = "tokens"
    post_init: Any  # of a base without types, behind one that says of any name that it is a tensor
    save_pretrained: Any

    def __init__(self, config: CovlaConfig) -> None:
        PreTrainedModel.__init__(self, config)
        self.loss_type = LOSS
        self.build(config)
        self.post_init()

    def forward(self, batch: Batch | None = None, **inputs: Any) -> CovlaOutput:
        """`Covla.forward` of a batch, or of its fields by name, as transformers calls models."""
        return super().forward(Batch(**inputs) if batch is None else batch)

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        # torch's own initialisation of each layer is what was measured, and towers bring their own
        # weights; but `from_pretrained` leaves buffers that are not saved without values.
        if isinstance(module, ImageTower):
            for name in ("mean", "std"):
                getattr(module, name).copy_(torch.tensor(module.spec[name]).view(1, 3, 1, 1))


AutoModel.register(CovlaConfig, CovlaModel)
