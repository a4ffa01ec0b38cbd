import pytest
import torch

from covla.model.towers import load_towers, tiny
from covla.training.fit import TowerShape


@pytest.mark.parametrize("preset", ["base", "tiny"])
def test_measuring_towers_leaves_their_weights_alone(preset: str) -> None:
    towers = load_towers("base")[0] if preset == "base" else tiny(100)
    towers.train()  # as they are where their networks come from the cache
    before = {name: weight.clone() for name, weight in towers.state_dict().items()}
    shape = TowerShape.of(towers)
    assert shape.regions == {"base": 49, "tiny": 9}[preset]
    for name, weight in towers.state_dict().items():
        assert torch.equal(weight, before[name]), name
