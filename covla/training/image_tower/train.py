"""From the image tower as it is to one that has learnt, before anything is encoded by it."""

from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import SequentialSampler
from transformers import set_seed

from covla.errors import CovlaError
from covla.model.pooling_torch import Features, pool_posts
from covla.model.runtime.device import pick_device
from covla.model.towers import Towers
from covla.training.dataset import PreparedDataset, Progress
from covla.training.image_tower.memory import check_memory
from covla.training.image_tower.pictures import Crop, Crops, Picture
from covla.training.image_tower.recipe import TowerRecipe
from covla.training.image_tower.student import TowerStudent
from covla.training.trainer import StageTrainer, Steps, arguments, run_once

NAME = "image_tower"
CHECKPOINTS = 6  # in a run


class _TowerTrainer(StageTrainer):
    """Crops in their order."""

    def _get_train_sampler(self, train_dataset: Any = None) -> SequentialSampler:
        return SequentialSampler(train_dataset or self.train_dataset)

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        whole = state_dict or self.model.state_dict()
        # safetensors takes no channels_last.
        super()._save(output_dir, {name: value.contiguous() for name, value in whole.items()})


@dataclass(frozen=True)
class _Collator:
    """Crops to the arguments of the student."""

    format: torch.memory_format

    def __call__(self, crops: list[Crop]) -> dict[str, Tensor]:
        def pixels(which: str) -> Tensor:
            stacked = torch.from_numpy(np.stack([getattr(crop, which) for crop in crops]))
            return stacked.float().contiguous(memory_format=self.format)

        targets = torch.stack([crop.target for crop in crops])
        return {"seen": pixels("seen"), "clean": pixels("clean"), "target": targets}


def train_image_tower(
    towers: Towers,
    data: PreparedDataset,
    features: list[Features],
    targets: Tensor,
    recipe: TowerRecipe,
    *,
    seed: int,
    device: str = "auto",
    work: Path | None = None,
    progress: Progress = lambda name, done, total: None,
    callbacks: list[Any] | None = None,
) -> Towers:
    """Towers whose image side has learnt; those given stay what they are. Equal input gives equal
    weights, on a CPU.

    Args:
        features: of the posts as they are, by `towers`.
        targets: n x C probabilities, NaN rows where nothing is known.
        work: checkpoints and the finished weights are kept here, and taken up; None keeps nothing.

    Raises:
        CovlaError: no picture can teach, the tower cannot learn, a batch does not fit into memory,
            or the loss left the numbers.
    """
    pictures = [
        Picture(item.post.post_id, item.image, targets[i], bool(data.teacher_labels[i] >= 0))
        for i, item in enumerate(data.prepared)
        if data.posts[i].split == "train"
        and item.image is not None
        and not targets[i].isnan().any()
    ]
    if not pictures:
        raise CovlaError(
            "towers: there is no picture to learn from that has a label or a teacher's word",
            hint="Give --towers frozen, or posts with pictures",
        )
    device = pick_device(device)
    # Convolutions on a CPU take a quarter less time so.
    layout = torch.channels_last if device == "cpu" else torch.contiguous_format
    steps = max(1, recipe.epochs * len(pictures) // recipe.batch)
    side = towers.image.spec["size"]
    crops = Crops(pictures, steps * recipe.batch, side, noise=recipe.noise, seed=seed)
    there = [i for i, item in enumerate(data.prepared) if item.image is not None]
    _, pooled = pool_posts([features[i] for i in there], (towers.text.width, towers.image.width))
    set_seed(seed)  # of the classifier
    student = TowerStudent(
        towers.image, pooled, targets.shape[1], pull=recipe.pull, unfreeze=recipe.unfreeze
    )
    student = student.to(device).to(memory_format=layout)
    collate = _Collator(layout)
    one = {name: each.to(device) for name, each in collate([crops[0]]).items()}
    check_memory(student.train(), one, recipe.batch, device)

    def trainer(folder: str) -> StageTrainer:
        set_seed(seed)
        args = arguments(
            folder,
            work,
            steps=steps,
            every=max(1, steps // CHECKPOINTS),
            per_device_train_batch_size=recipe.batch,
            max_grad_norm=2.0,
            seed=seed,
            data_seed=seed,
            use_cpu=device == "cpu",
            bf16=device == "cuda",
        )
        # The classifier begins from nothing.
        tower = [each for each in student.tower.parameters() if each.requires_grad]
        rates = [
            {"params": tower, "lr": recipe.learning_rate},
            {"params": student.classifier.parameters(), "lr": recipe.head_learning_rate},
        ]
        return _TowerTrainer(
            NAME,
            model=student,
            optimizers=(torch.optim.AdamW(rates, weight_decay=recipe.weight_decay), None),
            args=args,
            train_dataset=crops,
            data_collator=collate,
            callbacks=[Steps(NAME, progress), *(callbacks or [])],
        )

    run_once(NAME, student, work, trainer)
    learnt = deepcopy(towers)
    learnt.image.load_state_dict(student.tower.state_dict())
    return learnt.eval()
