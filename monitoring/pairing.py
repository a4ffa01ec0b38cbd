"""How much likelier text and image of a post are together than apart, learned from other posts.

Canonical correlations (Hotelling 1936, Biometrika 28) of the principal components of both
embeddings. A post's value is the log density ratio of its canonical variables, taken as Gaussian:
joint against independent. So it needs no encoder that knows both modalities, and sees whatever the
texts and images of the posts have in common.
"""

from dataclasses import dataclass

import numpy as np

from covla.arrays import DoubleArray

PAIRS_PER_COMPONENT = 4  # of a modality, at least: fewer pairs correlate by chance alone
_LEAST = 1e-9  # of a standard deviation, against division by zero


@dataclass(frozen=True)
class Pairing:
    """Linear maps into the canonical variables, and how they correlate."""

    means: tuple[DoubleArray, DoubleArray]
    maps: tuple[DoubleArray, DoubleArray]  # components x variables
    correlations: DoubleArray  # variables

    @classmethod
    def fit(cls, text: DoubleArray, image: DoubleArray) -> "Pairing":
        """From uncorrelated components of the same posts, N x K and N x L."""
        means = text.mean(axis=0), image.mean(axis=0)
        deviations = [np.maximum(side.std(axis=0), _LEAST) for side in (text, image)]
        scaled = [
            (side - mean) / deviation
            for side, mean, deviation in zip((text, image), means, deviations, strict=True)
        ]
        left, found, right = np.linalg.svd(scaled[0].T @ scaled[1] / len(text), full_matrices=False)
        # Of independent components a square is K/N on average: the adjusted R squared.
        by_chance = min(max(text.shape[1], image.shape[1]) / len(text), 0.5)
        squares = np.clip((np.minimum(found, 0.99) ** 2 - by_chance) / (1 - by_chance), 0, None)
        maps = left / deviations[0][:, None], right.T / deviations[1][:, None]
        return cls(means, maps, np.sqrt(squares))

    def __call__(self, text: DoubleArray, image: DoubleArray) -> DoubleArray:
        """A value per post, from N x K and N x L."""
        x, y = (
            (side - mean) @ into
            for side, mean, into in zip((text, image), self.means, self.maps, strict=True)
        )
        r = self.correlations
        exponent = (r**2 * (x**2 + y**2) - 2 * r * x * y) / (2 * (1 - r**2))
        values: DoubleArray = -(exponent + np.log1p(-(r**2)) / 2).sum(axis=1)
        return values
