"""What learns of an image tower, and what does not."""

import pytest
import torch
from torch import nn

from covla.errors import CovlaError
from covla.model.towers import ImageTower, tiny
from covla.training.image_tower.student import TowerStudent, learn


def tower() -> ImageTower:
    return tiny(50).image


def student(unfreeze: int | None = None) -> TowerStudent:
    given = tower()
    return TowerStudent(given, torch.randn(8, given.width), 3, pull=0.3, unfreeze=unfreeze)


def step(one: TowerStudent) -> None:
    """One step on two noisy pictures."""
    weights = [each for each in one.parameters() if each.requires_grad]
    optimizer = torch.optim.SGD(weights, lr=0.1)
    seen = torch.rand(2, 3, 96, 96) * 255
    one.train()(seen, seen, torch.tensor([[1.0, 0, 0], [0, 0.5, 0.5]])).loss.backward()
    optimizer.step()


def test_weights_learn_and_statistics_of_batch_norm_stay() -> None:
    one, before = student(), {k: v.clone() for k, v in student().tower.state_dict().items()}
    one.tower.load_state_dict(before)
    step(one)
    after = one.tower.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert any("conv" in name for name in moved)
    assert not any("running" in name or "num_batches" in name for name in moved)


def test_the_tower_that_it_was_is_what_it_is_pulled_to() -> None:
    given = tower()
    one = TowerStudent(given, torch.randn(8, given.width), 3, pull=0.3, unfreeze=None)
    seen = torch.rand(2, 3, 96, 96) * 255
    target = torch.tensor([[1.0, 0, 0], [0, 0.5, 0.5]])
    with torch.no_grad():
        assert float(one.train()(seen, seen, target).losses["pull"]) == pytest.approx(0, abs=1e-9)
    step(one)
    with torch.no_grad():
        out = one(seen, seen, target)
    assert float(out.losses["pull"]) > 0
    assert float(out.loss) == pytest.approx(
        float(out.losses["labels"] + 0.3 * out.losses["pull"]), rel=1e-5
    )
    for key, value in given.state_dict().items():  # the one that was given
        torch.testing.assert_close(one.before.state_dict()[key], value)


def test_the_last_blocks_alone() -> None:
    one = student(unfreeze=1)
    learns = {name for name, each in one.tower.named_parameters() if each.requires_grad}
    frozen = {name for name, each in one.tower.named_parameters() if not each.requires_grad}
    last = max(int(name.split(".")[2]) for name in learns if name.startswith("encoder.blocks."))
    assert all(
        name.split(".")[2] == str(last) for name in learns if name.startswith("encoder.blocks.")
    )
    assert any(name.startswith("encoder.conv_head") for name in learns)
    assert "encoder.conv_stem.weight" in frozen
    assert any(name.startswith("encoder.blocks.0.") for name in frozen)


def test_a_transformer_is_cut_between_its_layers() -> None:
    from transformers import CLIPVisionConfig, CLIPVisionModel

    config = CLIPVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=3, num_attention_heads=2,
        image_size=32, patch_size=16,
    )  # fmt: skip
    model = CLIPVisionModel(config)
    learn(model, 2)
    learns = {name for name, each in model.named_parameters() if each.requires_grad}
    assert any(".layers.1." in name for name in learns)
    assert any(".layers.2." in name for name in learns)
    assert not any(".layers.0." in name or "embedding" in name for name in learns)
    assert any("post_layernorm" in name for name in learns)


def test_what_cannot_learn_is_said() -> None:
    with pytest.raises(CovlaError, match="no weights that can learn"):
        learn(nn.Identity(), None)
    with pytest.raises(CovlaError, match=r"--unfreeze 99: this image tower has \d+ blocks"):
        student(unfreeze=99)
    with pytest.raises(CovlaError, match="no blocks"):
        learn(nn.Linear(2, 2), 1)
