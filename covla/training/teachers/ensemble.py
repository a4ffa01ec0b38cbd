"""The offline teacher: kernel machines on pooled embeddings of more towers than the student has.

One expert each for text, image, and both together; their probabilities are multiplied. Each is a
kernel ridge classifier, and a labelled post is predicted as if it had been left out: a teacher that
was trained on a post only repeats its label. docs/adr/0013-label-nodes.md has what it was chosen
over.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from covla.arrays import FloatArray
from covla.model.encoders import Encoded, Encoders
from covla.model.label_nodes import signed_sqrt, squared_distance
from covla.model.towers import ImageTower, load_lite, load_towers
from covla.posts.preprocessing import PreparedPost
from covla.settings import Settings
from covla.training.feature_cache import FeatureCache
from covla.training.kernel_ridge import anchors_of, best_scale, fit_kernel_ridge

# Of the vectors: raise it with any change, here or in kernel_ridge.py, that gives other ones.
VERSION = 1


@dataclass
class Pooled:
    """What a teacher sees: pooled embeddings per post (zeros where missing), and the labels.

    text n x d_T, images: one n x d_V per image tower, labels n (-1: none, or not for training),
    classes C, groups n numbers, the same for posts that share content; None when none do.
    """

    text: Tensor
    images: list[Tensor]
    labels: Tensor
    classes: int
    groups: Tensor | None = None


def expert(features: Tensor, labels: Tensor, groups: Tensor, classes: int, seed: int) -> Tensor:
    """Log-probabilities, n x C; of a post that it is made of as if that post and its repeats had
    been left out.

    Without two labels: zeros. A post without these features (zeros) gets zeros.

    Args:
        features: n x d, rows of length 1 or zero. labels: n, -1 for none. groups: n.
    """
    there = features.abs().sum(1) > 0
    support = anchors_of(there & (labels >= 0), seed)
    log_probabilities = torch.zeros(len(features), classes)
    if len(set(labels[support].tolist())) < 2:
        return log_probabilities
    rows = features.double()
    distance = squared_distance(rows, rows[support])
    ridge = fit_kernel_ridge(distance[support], labels[support], classes, groups=groups[support])
    scores = ridge.scores(distance)
    scores[support] = ridge.scores_without(distance[support], torch.arange(len(support)))
    log_probabilities[there] = (ridge.scale * scores[there]).log_softmax(-1).float()
    return log_probabilities


def ensemble(pooled: Pooled, seed: int) -> FloatArray:
    """Log-probabilities of the experts' product, n x C, calibrated on the posts left out."""
    image = torch.cat([signed_sqrt(side) for side in pooled.images], 1)
    text = F.normalize(pooled.text, dim=-1)
    both = torch.cat([text, image], 1)
    both[(text.abs().sum(1) == 0) | (image.abs().sum(1) == 0)] = 0
    sides = [F.normalize(side, dim=-1) for side in (text, image, both)]
    groups = torch.arange(len(text)) if pooled.groups is None else pooled.groups
    given = pooled.labels, groups, pooled.classes, seed
    experts = [expert(side, *given) for side in sides]
    product = torch.stack(experts).sum(0)
    labelled = pooled.labels >= 0
    scale = best_scale(product[labelled], pooled.labels[labelled])[1]
    return np.asarray((scale * product).log_softmax(-1).numpy(), np.float32)


def lite2(
    prepared: list[PreparedPost], settings: Settings, progress: Callable[[int], None]
) -> Tensor:
    """Pooled EfficientNet-Lite2 embedding per post, n x 1408; zeros without image."""
    towers, tokenizer = load_towers("base")
    spec = towers.spec["image"] | {"name": "tf_efficientnet_lite2", "size": 260}
    towers.image = ImageTower(spec)
    load_lite(towers.image, 2)
    towers.spec = towers.spec | {"image": spec}
    width = towers.image.width
    encoders = Encoders(towers, tokenizer, cache=settings.cache, device=settings.device)
    cache = FeatureCache(settings.cache / "features", f"{encoders.id}-pooled")
    images = [replace(item, text="", text_hash="") for item in prepared]

    def encode(items: Any) -> list[Encoded]:
        return [
            replace(row, regions=None if row.image_embedding is None else row.image_embedding[None])
            for row in encoders.encode(items)
        ]

    found = [regions for _, regions in cache.features(images, encode, progress)]
    return torch.stack(
        [torch.zeros(width) if row is None else row.float().squeeze(0) for row in found]
    )
