"""Regions in a model's principal components: fitted once per set of training posts, and every
image reduced once, for all models of a study that share them."""

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

from covla.model.pooling_torch import Features
from covla.model.projection import Projection
from covla.training.dataset import PreparedDataset
from covla.training.feature_cache import Hashed

REGION_STRIDE = 6  # neighbours on the grid say nearly the same


class Reduction:
    """What was fitted and reduced, for as long as this lives: for one pair of towers."""

    def __init__(self) -> None:
        self._components: dict[str, tuple[Tensor, Tensor]] = {}
        self._regions: dict[str, dict[str, Tensor]] = {}

    @torch.no_grad()
    def fit(self, image: Projection, features: list[Features], data: PreparedDataset) -> None:
        """Fit the components of `image` to the regions of the posts that train; none have any: it
        stays as it is.

        Args:
            features: tokens and regions (R x d_V) of every row of `data`; noisy copies are rows
                like any other.
        """
        if not image.components:
            return
        learns = data.trains
        key = _digest("\n".join(data.prepared[i].image_hash for i in learns).encode())
        if key not in self._components:
            training = (features[i][1] for i in learns)
            seen = [regions[::REGION_STRIDE].float() for regions in training if regions is not None]
            if not seen:
                return
            image.fit(torch.cat(seen))
            self._components[key] = image.mean.clone(), image.basis.clone()
        mean, basis = self._components[key]
        image.mean.copy_(mean)
        image.basis.copy_(basis)

    @torch.no_grad()
    def __call__(
        self, image: Projection, features: list[Features], items: Sequence[Hashed]
    ) -> list[Features]:
        """`features` of `items` with reduced regions, R x components, fp16."""
        if not image.components:
            return features
        key = _digest(image.mean.numpy().tobytes(), image.basis.numpy().tobytes())
        kept = self._regions.setdefault(key, {})
        reduced: list[Features] = []
        for item, (tokens, regions) in zip(items, features, strict=True):
            if regions is not None and item.image_hash not in kept:
                kept[item.image_hash] = image.reduce(regions.float()).half()
            reduced.append((tokens, None if regions is None else kept[item.image_hash]))
        return reduced


def _digest(*parts: bytes) -> str:
    total = hashlib.sha256()
    for part in parts:
        total.update(part)
    return total.hexdigest()
