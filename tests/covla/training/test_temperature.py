import pytest
import torch

from covla.training.temperature import fit_temperature


def test_the_temperature_that_scaled_the_logits_is_found_again() -> None:
    torch.manual_seed(0)
    true = torch.randn(4000, 3) * 2
    labels = torch.distributions.Categorical(logits=true).sample()
    assert fit_temperature(true * 2, labels) == pytest.approx(2.0, rel=0.1)
