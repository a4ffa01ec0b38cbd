"""What there is to run a model on."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from covla.errors import CovlaError
from covla.model.runtime import device
from covla.model.runtime.device import pick_device, require_torch


def test_a_gpu_that_is_asked_for_and_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert (pick_device("auto"), pick_device("cpu")) == ("cpu", "cpu")
    with pytest.raises(CovlaError, match="COVLA_DEVICE is cuda") as caught:
        pick_device("cuda")
    assert "COVLA_DEVICE=cpu" in str(caught.value.hint)


def test_torch_is_not_loaded_to_find_that_there_is_no_gpu(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom covla.model.runtime import device\n"
        f"device._GPU_FILES = ({str(tmp_path / 'driver')!r},)\n"
        "print(device.pick_device('auto'), device.pick_device('cpu'), 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.split() == ["cpu", "cpu", "False"]


def test_a_driver_leads_to_torchs_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "_GPU_FILES", (str(tmp_path),))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert pick_device("auto") == "cuda"
    monkeypatch.setattr(device, "find_spec", lambda name: None)  # not installed
    assert pick_device("auto") == "cpu"
    with pytest.raises(CovlaError, match="torch is not installed"):
        pick_device("cuda")


def test_without_torch_the_hint_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    require_torch("a network")
    monkeypatch.setattr(device, "find_spec", lambda name: None)
    with pytest.raises(CovlaError, match="a network cannot be made here") as refused:
        require_torch("a network")
    assert "covla convert MODEL --out FOLDER" in str(refused.value.hint)
