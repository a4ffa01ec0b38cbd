"""What may be compared at all."""

import pandas as pd
import pytest

from covla.errors import CovlaError
from monitoring.sides import check
from tests.monitoring.rows import rows


def sides(window_id: str | None, reference_id: str | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    window, reference = rows(100, 1).assign(encoder_id=window_id), rows(200, 0)
    reference.attrs["encoder_id"] = reference_id
    return window, reference


def test_vectors_of_two_encoders_are_refused_though_they_are_equally_long() -> None:
    window, reference = sides("aaaa", "bbbb")
    window.loc[:39, "encoder_id"] = "bbbb-bf16"
    with pytest.raises(CovlaError, match="60 of 100 posts were encoded by aaaa") as caught:
        check(window, reference)
    assert "`covla features backfill --window START/END`" in str(caught.value)


@pytest.mark.parametrize(
    ("window", "reference"), [("bbbb", "bbbb"), ("bbbb-openvino-int8-1", "bbbb"), ("a", None)]
)
def test_one_encoder_on_any_backend_is_compared(window: str, reference: str | None) -> None:
    """An old model does not say of which encoders its rows are."""
    check(*sides(window, reference))
