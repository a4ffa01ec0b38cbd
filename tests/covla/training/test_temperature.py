import pytest
import torch

from covla.training.temperature import fit_confidence, fit_temperature


def test_the_temperature_that_scaled_the_logits_is_found_again() -> None:
    torch.manual_seed(0)
    true = torch.randn(4000, 3) * 2
    labels = torch.distributions.Categorical(logits=true).sample()
    assert fit_temperature(true * 2, labels) == pytest.approx(2.0, rel=0.1)


def test_at_the_temperature_of_the_confidence_its_mean_is_the_accuracy() -> None:
    torch.manual_seed(0)
    logits = torch.randn(500, 3) * 4
    labels = torch.where(torch.rand(500) < 0.7, logits.argmax(1), (logits.argmax(1) + 1) % 3)
    accuracy = float((logits.argmax(1) == labels).float().mean())
    tau = fit_confidence(logits, labels)
    assert float((logits / tau).softmax(1).amax(1).mean()) == pytest.approx(accuracy, abs=0.01)
