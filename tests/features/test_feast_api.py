"""Feast is imported without what it does to the process, and without what makes it slow."""

import os
import subprocess
import sys

import pytest
import typeguard

from features import feast_api


def test_the_process_is_as_it_was() -> None:
    assert not [name for name in os.environ if name.startswith("PROMETHEUS_MULTIPROC")]

    @typeguard.typechecked
    def half(number: int) -> float:
        return number / 2

    with pytest.raises(typeguard.TypeCheckError):
        half("two")  # type: ignore[arg-type]


def test_no_class_of_feast_was_rewritten() -> None:
    for kind in (feast_api.FeatureView, feast_api.Entity, feast_api.FeatureService):
        code = kind.__init__.__code__
        assert "TypeCheckMemo" not in code.co_names + code.co_varnames


@pytest.mark.slow
def test_torch_stays_out_and_is_there_for_those_who_ask() -> None:
    code = (
        # Feast imports the online store by its name, so that may be the first of our modules.
        "import sys, features.online_store; assert 'torch' not in sys.modules; "
        "import transformers; assert transformers.utils.is_torch_available(); "
        "import torch; assert int(torch.ones(2).sum()) == 2"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
