import torch

from covla.model.configuration import CovlaConfig
from covla.model.label_nodes import LabelNodes


def nodes() -> LabelNodes:
    config = CovlaConfig(text_width=6, image_width=8, labels=list("abc"), width=4, support=5)
    return LabelNodes(config)


def test_the_gate_shares_out_the_votes() -> None:
    gate = torch.tensor([0.0, 0.5, 0.8, 1.0])
    votes = nodes().votes_of(torch.ones(4, 3, dtype=torch.bool), gate)
    text, image, both = votes.T
    assert (text.diff() > 0).all()
    assert (image.diff() < 0).all()
    assert both[0] == both[3] == image[3] == text[0] == 0
    assert both[1] > both[2] > 0
    torch.testing.assert_close(votes[1], torch.full((3,), 0.6))


def test_a_node_that_is_not_there_has_no_vote() -> None:
    mask = torch.tensor([[True, True, True], [True, False, False]])
    votes = nodes().votes_of(mask, torch.full((2,), 0.5))
    assert votes[1].tolist() == [votes[0, 0].item(), 0.0, 0.0]
