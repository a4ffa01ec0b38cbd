"""The offline teacher: gated fusion heads on pooled embeddings of more towers than the student has,
cross-fitted on the labelled posts, since a teacher that was trained on a post only repeats its
label."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from covla.model.encoders import Encoded, Encoders
from covla.model.towers import LITE2, ImageTower, load_lite, load_towers
from covla.prepare import Prepared
from covla.settings import Settings
from covla.training.feature_cache import FeatureCache

Array = np.ndarray[Any, np.dtype[np.float32]]
FOLDS, HEADS, WIDTH, EPOCHS, BATCH = 5, 3, 128, 10, 64
COMPONENTS = 256


@dataclass
class Pooled:
    """What a teacher sees: pooled embeddings per post (zeros where missing), and the labels.

    text n x d_T, images: one n x d_V per image tower, labels n (-1: none, or not for training),
    classes C.
    """

    text: Tensor
    images: list[Tensor]
    labels: Tensor
    classes: int


class _Heads(nn.Module):
    """M gated fusion heads side by side, each with its own weights and its own batches."""

    def __init__(self, members: int, text: int, image: int, classes: int) -> None:
        super().__init__()

        def weight(wide: int, out: int) -> nn.Parameter:
            return nn.Parameter((torch.rand(members, wide, out) * 2 - 1) * wide**-0.5)

        self.text, self.image = weight(text, WIDTH), weight(image, WIDTH)
        self.gate, self.out = weight(2 * WIDTH, WIDTH), weight(WIDTH, classes)
        self.bias = nn.Parameter(torch.zeros(members, 1, classes))

    def forward(self, text: Tensor, image: Tensor) -> Tensor:
        """M x B x d each to M x B x C logits."""
        text, image = (F.dropout(side, 0.2, self.training) for side in (text, image))
        t, v = torch.tanh(text @ self.text), torch.tanh(image @ self.image)
        g = torch.sigmoid(torch.cat([t, v], -1) @ self.gate)
        fused = F.dropout(g * t + (1 - g) * v, 0.5, self.training)
        return fused @ self.out + self.bias


def _folds(labels: Tensor, generator: torch.Generator) -> Tensor:
    """A fold per post, balanced over labels; -1 for posts without one."""
    folds = torch.full_like(labels, -1)
    for label in sorted(set(labels.tolist())):
        if label >= 0:
            rows = torch.nonzero(labels == label).flatten()
            rows = rows[torch.randperm(len(rows), generator=generator)]
            folds[rows] = torch.arange(len(rows)) % FOLDS
    return folds


def _reduce(values: Tensor) -> Tensor:
    """n x d to the first COMPONENTS principal components, standardised; zeros stay zeros."""
    present = values.abs().sum(1) > 0
    if int(present.sum()) < 2:
        return values
    seen = values[present]
    seen = (seen - seen.mean(0)) / seen.std(0).clamp(min=1e-6)
    # Eigenvectors of the covariance: the same components as an SVD of all rows, and faster.
    vectors = torch.linalg.eigh(seen.T @ seen / len(seen)).eigenvectors.flip(-1)
    turned = seen @ vectors[:, :COMPONENTS]
    out = torch.zeros(len(values), turned.shape[1])
    out[present] = turned / turned.std().clamp(min=1e-6)
    return out


def ensemble(pooled: Pooled, seed: int) -> Array:
    """Mean log-probabilities (n x C) of the heads that were not trained on the post.

    FOLDS x HEADS heads: one of a labelled post's folds leaves it out, and only those heads speak
    about it; on a post without label all of them do.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        generator = torch.Generator().manual_seed(seed)
        folds = _folds(pooled.labels, generator)
        text = _reduce(pooled.text)
        image = torch.cat([_reduce(side) for side in pooled.images], 1)
        fold_of = torch.arange(FOLDS).repeat_interleave(HEADS)
        heads = _Heads(len(fold_of), text.shape[1], image.shape[1], pooled.classes).train()
        labelled = torch.nonzero(pooled.labels >= 0).flatten()
        rows = [labelled[folds[labelled] != fold] for fold in fold_of.tolist()]
        size = min(BATCH, *(len(part) for part in rows))
        steps = EPOCHS * max(1, max(len(part) for part in rows) // size)
        optimizer = torch.optim.AdamW(heads.parameters(), lr=2e-3, weight_decay=0.05)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
        for _ in range(steps):
            batch = torch.stack(
                [part[torch.randint(len(part), (size,), generator=generator)] for part in rows]
            )
            logits = heads(text[batch], image[batch])
            loss = F.cross_entropy(
                logits.flatten(0, 1), pooled.labels[batch].flatten(), label_smoothing=0.05
            )
            optimizer.zero_grad()
            (loss * len(rows)).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
        heads.eval()
        spoken = []
        with torch.inference_mode():
            for part in torch.split(torch.arange(len(text)), 256):
                said = heads(text[part], image[part]).log_softmax(-1)
                may = (folds[part] == fold_of[:, None]) | (folds[part] < 0)
                spoken.append((said * may[..., None]).sum(0) / may.sum(0)[:, None])
        return torch.cat(spoken).numpy()


def lite2(prepared: list[Prepared], settings: Settings, progress: Callable[[int], None]) -> Tensor:
    """Pooled EfficientNet-Lite2 embedding per post, n x 1408; zeros without image."""
    towers, tokenizer = load_towers("base")
    towers.image = ImageTower(LITE2)
    load_lite(towers.image, 2)
    towers.spec = towers.spec | {"image": LITE2}
    width = towers.image.width
    encoders = Encoders(towers, tokenizer, cache=settings.cache, device=settings.device)
    cache = FeatureCache(settings.cache / "features", f"{encoders.id}-pooled")
    images = [replace(item, text="", text_hash="") for item in prepared]

    def encode(items: Any) -> list[Encoded]:
        return [
            replace(
                row, regions=None if row.regions is None else row.regions.mean(0, keepdims=True)
            )
            for row in encoders.encode(items)
        ]

    found = [regions for _, regions in cache.features(images, encode, progress)]
    return torch.stack(
        [torch.zeros(width) if row is None else row.float().squeeze(0) for row in found]
    )
