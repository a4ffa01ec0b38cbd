"""Embeddings in NumPy are those in torch, to the last place."""

import numpy as np
import pytest
import torch

from covla.model.pooling import mean_of, unit_length
from covla.model.pooling_torch import pool_posts


@pytest.mark.parametrize("width", [1, 12, 384, 1280])
def test_a_text_embedding_has_length_1_as_torch_makes_it(width: int) -> None:
    rng = np.random.default_rng(0)
    for scale in (1e-6, 1.0, 1e6):
        text = (scale * rng.standard_normal(width)).astype(np.float32)
        ours = unit_length(text)
        theirs = torch.nn.functional.normalize(torch.from_numpy(text), dim=-1).numpy()
        assert ours.dtype == np.float32
        np.testing.assert_array_max_ulp(ours, theirs, maxulp=2)
        assert np.linalg.norm(ours.astype(np.float64)) == pytest.approx(1, abs=1e-6)


def test_nothing_stays_zeros() -> None:
    assert not unit_length(np.zeros(5, np.float32)).any()


def test_tensors_and_arrays_are_pooled_alike() -> None:
    rng = np.random.default_rng(0)
    tokens, regions = (rng.standard_normal((n, 6), dtype=np.float32) for n in (7, 9))
    text, image = pool_posts([(torch.from_numpy(tokens), torch.from_numpy(regions))], (6, 6))
    np.testing.assert_allclose(unit_length(mean_of(tokens)), text[0].numpy(), atol=1e-6)
    np.testing.assert_allclose(mean_of(regions), image[0].numpy(), atol=1e-6)
