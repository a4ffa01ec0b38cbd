"""How long and how fast a model learns."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """How long and how fast to learn. The same for every architecture that is compared.

    noisy_copies: of every post that trains, beside the post itself (`covla.training.augmentation`).
    An epoch is as many steps as there are posts in it, with or without copies.
    """

    seed: int = 0
    pretrain_epochs: int = 2
    epochs: int = 10
    batch: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    noisy_copies: int = 2
