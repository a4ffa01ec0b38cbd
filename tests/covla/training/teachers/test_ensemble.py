import numpy as np
import pytest
import torch

from covla.training.teachers.ensemble import Pooled, ensemble


def pooled(labels: torch.Tensor) -> Pooled:
    """Features that say nothing of the labels."""
    torch.manual_seed(0)
    return Pooled(torch.randn(300, 16), [torch.randn(300, 16)], labels, 3)


@pytest.mark.slow
def test_a_teacher_never_repeats_a_label_it_was_trained_on() -> None:
    torch.manual_seed(1)
    labels = torch.randint(0, 3, (300,))
    said = torch.from_numpy(ensemble(pooled(labels), 0)).argmax(1)
    # Heads of this size learn 300 random labels by heart; a cross-fitted teacher cannot know them.
    assert (said == labels).float().mean() < 0.45


def test_the_same_seed_gives_the_same_vectors_and_they_speak_of_every_post() -> None:
    labels = torch.arange(300) % 3
    labels[200:] = -1
    first = ensemble(pooled(labels), 3)
    assert np.array_equal(first, ensemble(pooled(labels), 3))
    assert np.isfinite(first).all()
    assert first.shape == (300, 3)


def test_what_can_be_learned_is_learned() -> None:
    labels = torch.arange(300) % 3
    data = pooled(labels)
    data.text[:, :3] += 6 * torch.eye(3)[labels]
    said = torch.from_numpy(ensemble(data, 0)).argmax(1)
    assert (said == labels).float().mean() > 0.9
