import torch

from covla.model.alignment import CrossModalAlignment, attend, masked_mean
from covla.model.configuration import CovlaConfig


def test_a_small_temperature_picks_the_nearest_region() -> None:
    tokens = torch.tensor([[[1.0, 0.0]]])
    regions = torch.tensor([[[0.0, 1.0], [5.0, 0.1], [-1.0, 0.0]]])
    attention = attend(tokens, regions, 1e-3)
    torch.testing.assert_close(attention, torch.tensor([[[0.0, 1.0, 0.0]]]))


def test_the_papers_temperature_gives_at_most_13_percent_of_49_regions() -> None:
    tokens = torch.tensor([[[1.0, 0.0]]])
    regions = torch.tensor([[-1.0, 0.0]]).repeat(49, 1)[None].clone()
    regions[0, 0] = torch.tensor([1.0, 0.0])
    share = attend(tokens, regions, 1.0)[0, 0, 0]
    e = torch.e
    torch.testing.assert_close(share, torch.tensor(e / (e + 48 / e)))
    assert share < 0.134


def test_rows_of_attention_sum_to_one_and_z_v_is_the_mean_of_attended_regions() -> None:
    torch.manual_seed(0)
    config = CovlaConfig(labels=["a", "b"], alignment="paper", width=6)
    tokens, regions = torch.randn(2, 4, 6), torch.randn(2, 9, 6)
    mask = torch.tensor([[True, True, False, False], [True] * 4])
    z_t, z_v, attention = CrossModalAlignment(config)(
        tokens, mask, regions, torch.ones(2, dtype=torch.bool)
    )
    assert attention is not None
    torch.testing.assert_close(attention.sum(-1), torch.ones(2, 4))
    seen = attention @ regions
    torch.testing.assert_close(z_v[0], seen[0, :2].mean(0))
    torch.testing.assert_close(z_v[1], seen[1].mean(0))
    torch.testing.assert_close(z_t[0], tokens[0, :2].mean(0))


def test_what_is_missing_is_zeros() -> None:
    config = CovlaConfig(labels=["a", "b"], width=6)
    tokens, regions = torch.randn(2, 4, 6), torch.randn(2, 9, 6)
    mask = torch.tensor([[False] * 4, [True] * 4])
    z_t, z_v, _ = CrossModalAlignment(config)(tokens, mask, regions, torch.tensor([True, False]))
    assert z_t[0].abs().sum() == 0
    assert z_v[1].abs().sum() == 0
    torch.testing.assert_close(z_v[0], regions[0].mean(0))


def test_the_scale_is_held_at_100() -> None:
    align = CrossModalAlignment(CovlaConfig(labels=["a", "b"], width=6))
    align.log_scale.data.fill_(50.0)
    torch.testing.assert_close(torch.as_tensor(align.tau), torch.tensor(0.01))


def test_masked_mean_of_nothing_is_zeros() -> None:
    assert masked_mean(torch.ones(1, 3, 2), torch.zeros(1, 3, dtype=torch.bool)).sum() == 0
