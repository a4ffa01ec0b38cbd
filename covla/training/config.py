"""What to train, checked before any long work."""

import hashlib
import math
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import orjson

from covla.errors import CovlaError
from covla.model.baselines import arch_overrides
from covla.model.configuration import SET_BY_TRAINING, CovlaConfig
from covla.posts.taxonomy import Taxonomy
from covla.posts.training_post import TrainingPost
from covla.training.image_tower.recipe import TowerRecipe
from covla.training.recipe import Recipe
from covla.training.teachers.resolve import ENSEMBLE, Teacher

# Of stage 2. Towers from scratch that take 40 steps, ten epochs of 240 posts, have learnt nothing.
STEPS_FROM_SCRATCH = 120


def usual_recipe(preset: str, posts: int) -> Recipe:
    """What is done where nothing else is asked for.

    `tiny`, whose towers train from scratch, takes more epochs where posts are few, and no noisy
    copies, as in a study.
    """
    usual = Recipe()
    if preset != "tiny":
        return usual
    steps = max(1, math.ceil(posts / usual.batch))  # an epoch's
    needed = math.ceil(STEPS_FROM_SCRATCH / steps)
    return replace(usual, epochs=max(usual.epochs, needed), noisy_copies=0)


@dataclass(frozen=True)
class Plan:
    """What to train. The same plan on the same posts gives the same folder, byte for byte.

    preset: `base`, `tiny`, a hub id or folder, or TEXT+IMAGE. teacher: resolved, so that its
    weights are part of the plan. overrides: fields of `CovlaConfig` beside those of `arch`. towers:
    how the image tower learns before the rest; None leaves it as it is.
    """

    preset: str = "base"
    arch: str = "covla"
    teacher: Teacher = ENSEMBLE
    recipe: Recipe = field(default_factory=Recipe)
    overrides: dict[str, Any] = field(default_factory=dict)
    towers: TowerRecipe | None = None

    def check(self) -> None:
        """Before any long work.

        Raises:
            CovlaError: an unknown architecture or configuration field, or one that training sets,
                or towers that cannot learn beforehand.
        """
        if self.towers is not None and self.preset == "tiny":
            raise CovlaError("towers: those of `tiny` train with the model; give --towers frozen")
        arch_overrides(self.arch)
        known = CovlaConfig(labels=["a", "b"])
        for name in self.overrides:
            if not hasattr(known, name):
                raise CovlaError(f"{name}: no such field of the model's configuration")
            if name in SET_BY_TRAINING:
                raise CovlaError(f"{name}: follows from the posts, the encoders and the teacher")
        CovlaConfig(labels=["a", "b"], **arch_overrides(self.arch) | self.overrides)

    def digest(self, posts: list[TrainingPost], taxonomy: Taxonomy) -> str:
        """Identity of this plan on these posts (SHA-256, 16 hex digits)."""
        about = [self.preset, self.arch, self.teacher.id, asdict(self.recipe), self.overrides]
        about += [] if self.towers is None else [asdict(self.towers)]
        total = hashlib.sha256(orjson.dumps([*about, taxonomy.names]))
        for row in posts:
            total.update(row.post.to_json())
            total.update(f"\0{row.label}\0{row.split}\n".encode())
            if row.teacher is not None:
                total.update(row.teacher.tobytes())
            for tag, prior in sorted(row.priors.items()):
                total.update(f"{tag}\0{list(prior.prior)}\0{prior.count}\n".encode())
        return total.hexdigest()[:16]
