import numpy as np
import pandas as pd
import pytest

from covla.errors import CovlaError
from monitoring.columns import MAX_ROWS, compare
from monitoring.sides import check
from tests.monitoring.rows import rows


def test_too_few_posts_of_a_window_are_refused():
    with pytest.raises(CovlaError, match="window: 29 posts are too few"):
        check(rows(29, 1), rows(100, 0))


def test_too_few_posts_of_the_reference_are_refused():
    with pytest.raises(CovlaError, match="reference: 59 posts are too few"):
        check(rows(40, 1), rows(59, 0))


def test_a_missing_column_of_the_window_is_named():
    with pytest.raises(CovlaError, match="window: no column image_blur"):
        check(rows(40, 1).drop(columns="image_blur"), rows(100, 0))


def test_a_file_that_holds_no_features_is_no_reference():
    foreign = pd.DataFrame({"post_id": [str(i) for i in range(100)], "price": 1.0})
    with pytest.raises(CovlaError, match="reference: no column is a feature"):
        check(rows(40, 1), foreign)
    foreign["text_embedding"] = 1.0
    with pytest.raises(CovlaError, match="text_embedding: it holds no vectors"):
        check(rows(40, 1), foreign)


def test_what_the_reference_lacks_is_not_tested_and_says_so():
    """As in a model of an older version, and in a `tiny` one, whose towers trained along."""
    old = rows(200, 0).drop(columns=["image_blur", "lang"])
    old["text_embedding"] = old["image_embedding"] = None
    made = compare(rows(100, 1), old)
    lacking = "the reference does not have it"
    for name in ("image_blur", "text_lang", "missing_text", "missing_image"):
        assert made.untested[name] == lacking
        assert not any(name in columns for columns in made.columns.values())
    assert "0 posts of the reference" in made.untested["text_embedding"]
    assert made.embeddings == {}
    assert "text_words" in made.columns["text"]
    assert "image_aspect" in made.columns["image"]


@pytest.mark.parametrize(
    ("window", "reference", "reason"),
    [
        (1.5, 1.5, "one value in window and reference"),
        (None, 1.5, "one value in the reference"),
        (float("nan"), None, "0 posts of the window"),
        (None, float("inf"), "does not have it"),
        (float("-inf"), float("-inf"), "does not have it"),
        ("word", None, "0 posts of the window"),
    ],
)
def test_a_degenerate_column_is_not_tested(window, reference, reason):
    """Constant, empty or infinite; None leaves the side as it is."""
    sides = rows(100, 1), rows(200, 0)
    for side, value in zip(sides, (window, reference), strict=True):
        if value is not None:
            side["image_aspect"] = value
    made = compare(*sides)
    assert reason in made.untested["image_aspect"]
    assert "image_aspect" not in made.columns["image"]
    assert "image_blur" in made.columns["image"]


def test_embeddings_that_are_no_numbers_are_left_out():
    window, reference = rows(100, 1), rows(200, 0)
    for side in (window, reference):
        for i in range(0, len(side), 7):
            if side.at[i, "text_embedding"] is not None:
                side.at[i, "text_embedding"] = np.full(24, np.nan, np.float32)
    made = compare(window, reference)
    assert np.isfinite(made.current[made.embeddings["text"]].dropna().to_numpy()).all()
    constant = reference.copy()
    constant["image_embedding"] = [np.ones(40, np.float32)] * len(constant)
    assert "one value" in compare(window, constant).untested["image_embedding"]


def test_embeddings_of_two_encoders_are_refused():
    other = rows(100, 0)
    other["text_embedding"] = [None if v is None else v[:8] for v in other["text_embedding"]]
    with pytest.raises(CovlaError, match="text_embedding: 24 numbers in the window, 8"):
        check(rows(40, 1), other)


def test_both_sides_are_capped_and_never_share_rows_with_the_projection():
    made = compare(rows(1500, 1), rows(1500, 0))
    assert len(made.current) == MAX_ROWS
    assert len(made.reference) == 750  # the other half fits the projection
    assert made.embeddings["text"][0] == "text_embedding_01"
    assert len(made.embeddings["text"]) == 16


def test_a_constant_column_is_not_tested():
    window, reference = rows(60, 1), rows(200, 0)
    window["image_aspect"] = reference["image_aspect"] = 1.5
    assert "image_aspect" not in compare(window, reference).columns["image"]


def test_measures_of_a_missing_text_do_not_count():
    made = compare(rows(200, 1), rows(400, 0))
    without = made.current["missing_text"] == "yes"
    assert without.any()
    assert made.current.loc[without, "text_words"].isna().all()
