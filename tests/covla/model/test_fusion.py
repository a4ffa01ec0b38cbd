import pytest
import torch

from covla.errors import CovlaError
from covla.model.baselines import ARCHS, arch_overrides, make_fusion
from covla.model.configuration import CovlaConfig
from covla.model.fusion import CrossModalFusion

YES, NO = torch.tensor([True]), torch.tensor([False])


def parts() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.randn(1, 8), torch.randn(1, 8), torch.randn(1, 8)


def test_without_image_the_text_decides_alone_and_the_other_way_round() -> None:
    fusion = CrossModalFusion(CovlaConfig(labels=["a", "b"], width=8)).eval()
    z_t, z_v, z_c = parts()
    fused, gate = fusion(z_t, z_v, z_c, YES, NO)
    assert gate.item() == 1.0
    torch.testing.assert_close(fused, torch.tanh(fusion.text(z_t)))
    fused, gate = fusion(z_t, z_v, z_c, NO, YES)
    assert gate.item() == 0.0
    torch.testing.assert_close(fused, torch.tanh(fusion.image(z_v)))


@pytest.mark.parametrize(("bias", "share"), [(50.0, 1.0), (-50.0, 0.0)])
def test_a_saturated_gate_passes_one_side(bias: float, share: float) -> None:
    fusion = CrossModalFusion(CovlaConfig(labels=["a", "b"], width=8)).eval()
    fusion.gate.bias.data.fill_(bias)
    z_t, z_v, z_c = parts()
    fused, gate = fusion(z_t, z_v, z_c, YES, YES)
    assert gate.item() == pytest.approx(share)
    side = torch.tanh(fusion.text(z_t) if share else fusion.image(z_v))
    torch.testing.assert_close(fused, side)


@pytest.mark.parametrize("arch", sorted(ARCHS))
def test_every_architecture_gives_finite_logits_with_a_side_missing(arch: str) -> None:
    config = CovlaConfig(labels=["a", "b", "c"], width=8, **arch_overrides(arch))
    fusion = make_fusion(config).eval()
    z_t, z_v, z_c = parts()
    for text, image in ((YES, YES), (YES, NO), (NO, YES)):
        z = (z_t * text, z_v * image, z_c)
        fused, gate = fusion(*z, text, image)
        assert torch.isfinite(fusion.classify(fused)).all()
        assert 0 <= gate.item() <= 1


def test_late_averages_the_probabilities_of_both_sides() -> None:
    config = CovlaConfig(labels=["a", "b", "c"], width=8, **arch_overrides("late"))
    fusion = make_fusion(config).eval()
    z_t, z_v, z_c = parts()
    fused, _ = fusion(z_t, z_v, z_c, YES, YES)
    sides = fusion.sides
    each = [sides[0](z_t).softmax(-1), sides[1](z_v).softmax(-1)]
    torch.testing.assert_close(fusion.classify(fused).exp(), (each[0] + each[1]) / 2)


def test_an_unknown_architecture_or_switch_is_named() -> None:
    with pytest.raises(CovlaError, match=r"arch: 'vit' is not one of covla"):
        arch_overrides("vit")
    with pytest.raises(CovlaError, match=r"alignment: 'dot'"):
        CovlaConfig(labels=["a", "b"], alignment="dot")
    with pytest.raises(CovlaError, match=r"context_nodes: 'weather'"):
        CovlaConfig(labels=["a", "b"], context_nodes=["weather"])
