"""What the image tower learns of each post: the teacher's soft labels, and the label itself."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from covla.arrays import FloatArray
from covla.training.dataset import PreparedDataset
from covla.training.teachers.ensemble import expert


def targets(
    data: PreparedDataset, vectors: FloatArray | None, classes: int, seed: int, label: float
) -> Tensor:
    """Probabilities of each post, n x C; NaN rows where neither teacher nor label says anything.

    A teacher's vectors become probabilities through a kernel machine, which says of a labelled post
    what it would without it, so that any teacher can teach. A labelled post that trains gets
    `label` of its label and the rest of the teacher.

    Args:
        vectors: standardised teacher vectors, n x width, NaN rows where it abstains; or None.
    """
    known = data.teacher_labels
    soft = torch.full((len(known), classes), torch.nan)
    if vectors is not None:
        says = torch.from_numpy(~np.isnan(vectors).all(1))
        rows = F.normalize(torch.nan_to_num(torch.from_numpy(vectors)), dim=-1)
        answers = expert(rows, known, data.groups, classes, seed)
        says &= answers.abs().sum(1) > 0  # zeros: there are no two labels to tell apart
        soft[says] = answers[says].exp()
    hard = F.one_hot(known.clamp(min=0), classes).float()
    mixed = torch.where(soft.isnan(), hard, label * hard + (1 - label) * soft)
    return torch.where((known >= 0)[:, None], mixed, soft)
