"""Embeddings of a post's sides as NumPy arrays: where tokens and regions become one vector.

`covla.model.pooling_torch` does the same on tensors. Means differ from those in last digits, and
what was trained before stays the same.
"""

import numpy as np

from covla.arrays import FloatArray


def mean_of(rows: FloatArray) -> FloatArray:
    """T x d tokens or R x d regions, float32, to their mean, d."""
    mean: FloatArray = rows.mean(0)
    return mean


def unit_length(text: FloatArray) -> FloatArray:
    """A text embedding, d_T float32, at length 1; zeros stay zeros. Those of images keep theirs.

    The length is summed in float64: within one unit of the last place of what torch gives, whose
    order of summing differs among CPUs.
    """
    length = max(float(np.sqrt(np.square(text, dtype=np.float64).sum())), 1e-12)
    unit: FloatArray = text / np.float32(length)
    return unit
