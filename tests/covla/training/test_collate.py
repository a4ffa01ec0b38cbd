"""A model's answers come in the order of the examples, whatever shares a batch."""

import torch

from covla.model.configuration import CovlaConfig
from covla.model.context import Layout
from covla.model.hf import CovlaModel
from covla.training.collate import answers
from covla.training.dataset import Example


def test_an_answer_is_that_of_its_example_alone() -> None:
    torch.manual_seed(0)
    config = CovlaConfig(text_width=8, image_width=6, regions=4, labels=["a", "b", "c"], width=16)
    model, layout = CovlaModel(config), Layout.of(config)
    examples = [
        Example(
            torch.randn(layout.nodes, layout.width),
            torch.ones(layout.nodes, dtype=torch.bool),
            tokens=torch.randn(length, 8) if length else None,
            regions=torch.randn(4, 6) if length != 3 else None,
        )
        for length in (3, 30, 0, 7, 30, 1, 12)
    ]
    logits, gates = answers(model, examples, batch=3)
    for i, example in enumerate(examples):
        alone, gate = answers(model, [example])
        torch.testing.assert_close(logits[i], alone[0], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(gates[i], gate[0], atol=1e-5, rtol=1e-4)
