"""What runs a model, and where."""

import pytest
import torch

from covla.errors import CovlaError
from covla.model.runtime.backend import pick_device


def test_a_gpu_that_is_asked_for_and_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert (pick_device("auto"), pick_device("cpu")) == ("cpu", "cpu")
    with pytest.raises(CovlaError, match="COVLA_DEVICE is cuda") as caught:
        pick_device("cuda")
    assert "COVLA_DEVICE=cpu" in str(caught.value.hint)
