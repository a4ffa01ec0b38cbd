import math

import pytest
import torch

from covla.model.losses import cross_entropy, distillation, info_nce

ALL = torch.ones(2, dtype=torch.bool)


def test_info_nce_of_orthogonal_pairs_in_closed_form() -> None:
    z = torch.eye(2)
    # Each row's softmax is over 1 (itself) and 0 (the other), times the scale.
    expected = math.log(1 + math.exp(-3.0))
    assert info_nce(z, 5 * z, ALL, 3.0).item() == pytest.approx(expected, rel=1e-5)


def test_info_nce_of_equal_vectors_is_the_log_of_their_number() -> None:
    z = torch.ones(4, 3)
    both = torch.ones(4, dtype=torch.bool)
    assert info_nce(z, z, both, 10.0).item() == pytest.approx(math.log(4), rel=1e-5)


def test_info_nce_passes_over_posts_with_one_side() -> None:
    torch.manual_seed(0)
    z_t, z_v = torch.randn(4, 3), torch.randn(4, 3)
    both = torch.tensor([True, False, True, False])
    kept = info_nce(z_t[both], z_v[both], torch.ones(2, dtype=torch.bool), 2.0)
    assert torch.equal(info_nce(z_t, z_v, both, 2.0), kept)
    assert info_nce(z_t, z_v, torch.tensor([True, False, False, False]), 2.0).item() == 0


def test_distillation_means_over_dimensions_and_literally_sums() -> None:
    projected = torch.tensor([[1.0, 3.0], [9.0, 9.0]])
    teacher = torch.tensor([[0.0, 1.0], [0.0, 0.0]])
    has = torch.tensor([True, False])
    assert distillation(projected, teacher, has, literal=True).item() == pytest.approx(5.0)
    assert distillation(projected, teacher, has, literal=False).item() == pytest.approx(2.5)
    assert distillation(projected, teacher, ~ALL, literal=False).item() == 0


def test_cross_entropy_is_over_labelled_posts_alone() -> None:
    logits = torch.tensor([[0.0, 0.0], [50.0, -50.0]])
    labels = torch.tensor([1, -100])
    assert cross_entropy(logits, labels).item() == pytest.approx(math.log(2))
    assert cross_entropy(logits, torch.tensor([-100, -100])).item() == 0
