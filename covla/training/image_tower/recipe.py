"""How an image tower learns."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TowerRecipe:
    """How long, how fast and on what an image tower learns (docs/adr/0036-trained-towers.md).

    epochs: passes over the pictures that train. unfreeze: how many of its last blocks learn; None:
    all of it. noise: share of the crops that are made noisy. label: weight of a post's own label
    beside the teacher's. pull: weight of the distance to the features of the clean picture.
    """

    epochs: int = 3
    batch: int = 32
    learning_rate: float = 3e-4
    head_learning_rate: float = 3e-3
    weight_decay: float = 0.02
    unfreeze: int | None = None
    noise: float = 0.5
    label: float = 0.5
    pull: float = 0.3
