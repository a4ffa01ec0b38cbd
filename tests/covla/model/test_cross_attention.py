import pytest
import torch
from torch.nn import functional as F

from covla.model.baselines import make_alignment
from covla.model.configuration import CovlaConfig
from covla.model.cross_attention import Attention

KINDS = ("xattn", "sgmft")


def make(kind: str) -> torch.nn.Module:
    torch.manual_seed(0)
    return make_alignment(CovlaConfig(labels=["a", "b"], width=8, alignment=kind)).eval()


def sides() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    mask = torch.tensor([[True] * 5, [True, True, False, False, False], [False] * 5])
    return (
        torch.randn(3, 5, 8) * mask[..., None],
        mask,
        torch.randn(3, 9, 8) * torch.tensor([1.0, 1.0, 1.0])[:, None, None],
        torch.tensor([True, True, True]),
    )


def test_attention_is_that_of_torch() -> None:
    torch.manual_seed(0)
    ours, theirs = Attention(8, 0.0).eval(), torch.nn.MultiheadAttention(8, 4, batch_first=True)
    theirs.in_proj_weight.data = torch.cat([ours.query.weight, ours.pair.weight])
    theirs.in_proj_bias.data = torch.cat([ours.query.bias, ours.pair.bias])
    theirs.out_proj.load_state_dict(ours.out.state_dict())
    queries, values = torch.randn(2, 3, 8), torch.randn(2, 6, 8)
    there = torch.tensor([[True] * 6, [True, False, True, False, False, True]])
    expected, share = theirs.eval()(queries, values, values, key_padding_mask=~there)
    found, shares = ours(queries, values, there)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(shares.mean(1), share)
    assert ours(queries, values, there & False)[0].abs().max() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_padding_and_what_stands_in_for_a_missing_side_do_not_matter(kind: str) -> None:
    align = make(kind)
    tokens, mask, regions, has_image = sides()
    z_t, z_v, share = align(tokens, mask, regions, has_image)
    assert share.shape == (3, 5, 9)
    torch.testing.assert_close(share[0].sum(-1), torch.ones(5))
    assert z_t[2].abs().max() == 0  # no text
    padded = F.pad(tokens, (0, 0, 0, 3)), F.pad(mask, (0, 3))
    for a, b in zip(align(*padded, regions, has_image)[:2], (z_t, z_v), strict=True):
        torch.testing.assert_close(a, b)
    gone = align(tokens, mask, regions * 0, torch.tensor([True, True, False]))
    assert gone[1][2].abs().max() == 0
    alone = align(tokens[:1], mask[:1], regions[:1] * 0, torch.tensor([False]))
    assert torch.isfinite(alone[0]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_each_side_depends_on_the_other(kind: str) -> None:
    align = make(kind)
    tokens, mask, regions, has_image = sides()
    before = align(tokens, mask, regions, has_image)
    after = align(tokens, mask, regions.flip(0), has_image)
    assert (before[0][0] - after[0][0]).abs().max() > 1e-3
    after = align(tokens.flip(0), mask.flip(0), regions, has_image)
    assert (before[1][0] - after[1][0]).abs().max() > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_finite_where_sides_are_missing(kind: str) -> None:
    align = make(kind)
    tokens, mask, regions, _ = sides()
    tokens.requires_grad_()
    seen = torch.tensor([True, False, True])
    z_t, z_v, _ = align(tokens * mask[..., None], mask, regions * seen[:, None, None], seen)
    (z_t.square().sum() + z_v.square().sum()).backward()
    assert torch.isfinite(tokens.grad).all()
    assert all(torch.isfinite(p.grad).all() for p in align.parameters() if p.grad is not None)
