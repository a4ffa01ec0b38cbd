"""A batch that does not fit is named before the first step, with one that does."""

import re
from collections import namedtuple
from typing import Any

import psutil
import pytest
import torch
from torch import Tensor

from covla.errors import CovlaError
from covla.training.image_tower.memory import check_memory
from covla.training.image_tower.student import TowerStudent
from tests.covla.training.image_tower.test_student import student

Memory = namedtuple("Memory", "available")


@pytest.fixture
def one() -> dict[str, Tensor]:
    seen = torch.rand(1, 3, 96, 96) * 255
    return {"seen": seen, "clean": seen, "target": torch.tensor([[1.0, 0, 0]])}


def has(available: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: Memory(available))


def test_the_batch_that_is_named_fits_and_one_more_does_not(
    one: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    given: TowerStudent = student()
    has(200 * 2**20, monkeypatch)
    with pytest.raises(CovlaError, match="a batch of 4096 pictures needs") as error:
        check_memory(given, one, 4096, "cpu")
    hint: Any = error.value.hint
    found = re.fullmatch(r"Give --tower-batch (\d+)", hint)
    assert found
    check_memory(given, one, int(found[1]), "cpu")
    with pytest.raises(CovlaError):
        check_memory(given, one, int(found[1]) + 1, "cpu")


def test_no_batch_fits(one: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    has(2**16, monkeypatch)
    with pytest.raises(CovlaError) as error:
        check_memory(student(), one, 1, "cpu")
    assert "--towers frozen" in str(error.value.hint)
