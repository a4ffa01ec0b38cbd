"""The image tower while it learns, with a classifier that goes when it has learnt."""

from copy import deepcopy
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from covla.errors import CovlaError
from covla.model.output import CovlaOutput
from covla.model.towers import ImageTower


class TowerStudent(nn.Module):
    """An image tower, the tower that it was, and a classifier of the mean of its regions.

    Statistics of batch norm stay what they were: those of small batches of noisy crops are not
    those of the pictures that will be encoded.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, tower: ImageTower, pooled: Tensor, classes: int, *, pull: float, unfreeze: int | None
    ) -> None:
        """
        Args:
            tower: learns, as a copy.
            pooled: n x d_V, means of regions of clean pictures by the tower as it is.
            pull: weight of the distance to these features, in units of their deviation.
            unfreeze: how many of the last blocks learn; None: all of it.

        Raises:
            CovlaError: the tower has no weights that can learn, or no so many blocks.
        """
        super().__init__()
        self.before = deepcopy(tower).eval().requires_grad_(False)
        self.tower = deepcopy(tower)
        learn(self.tower, unfreeze)
        self.register_buffer("mean", pooled.mean(0))
        self.register_buffer("std", pooled.std(0).clamp(min=1e-3))
        self.classifier = nn.Linear(tower.width, classes)
        self.pull = pull

    def train(self, mode: bool = True) -> Self:
        """All but batch norm's statistics and the tower that it was."""
        super().train(mode)
        self.before.eval()
        for module in self.tower.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        return self

    def forward(self, seen: Tensor, clean: Tensor, target: Tensor) -> CovlaOutput:
        """B x 3 x S x S twice and B x C probabilities to the loss and its parts."""
        pooled = self.tower(seen).float().mean(1)
        with torch.no_grad():
            before = self.before(clean).float().mean(1)
        logits = self.classifier((pooled - self.mean) / self.std)
        losses = {
            "labels": F.cross_entropy(logits, target),
            "pull": ((pooled - before) / self.std).square().mean(),
        }
        return CovlaOutput(loss=losses["labels"] + self.pull * losses["pull"], losses=losses)


def learn(tower: nn.Module, blocks: int | None) -> None:
    """Mark what of a tower learns: all of it, or its last `blocks` and what comes after them.

    Raises:
        CovlaError: nothing of it can learn, or it has no so many blocks.
    """
    weights = [each for each in tower.parameters() if each.is_floating_point()]
    if not weights:
        raise CovlaError(
            "towers: this image tower has no weights that can learn",
            hint="Give --towers frozen, or a preset whose weights are f32, bf16 or fp16",
        )
    if blocks is None:
        for each in weights:
            each.requires_grad_(True)
        return
    tower.requires_grad_(False)
    name, stack = _blocks(tower)
    if blocks > len(stack):
        raise CovlaError(f"--unfreeze {blocks}: this image tower has {len(stack)} blocks")
    first, after = {f"{name}.{len(stack) - blocks + i}." for i in range(blocks)}, False
    for key, each in tower.named_parameters():
        inside = key.startswith(f"{name}.")
        after = after or inside
        if any(key.startswith(one) for one in first) or (after and not inside):
            each.requires_grad_(each.is_floating_point())


def _blocks(tower: nn.Module) -> tuple[str, nn.Sequential | nn.ModuleList]:
    """The stack of blocks with the most weights, and its name: of several, the outermost."""
    found: tuple[int, str, nn.Sequential | nn.ModuleList] | None = None
    for name, module in tower.named_modules():
        if isinstance(module, nn.Sequential | nn.ModuleList) and len(module) > 1:
            size = sum(each.numel() for each in module.parameters())
            if found is None or size > found[0]:
                found = size, name, module
    if found is None:
        raise CovlaError("--unfreeze: this image tower has no blocks one after the other")
    return found[1:]
