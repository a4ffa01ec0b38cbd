import pytest

from covla.errors import CovlaError
from monitoring.columns import MAX_ROWS, check, compare
from tests.monitoring.rows import rows


def test_too_few_posts_of_a_window_are_refused():
    with pytest.raises(CovlaError, match="window: 29 posts are too few"):
        check(rows(29, 1), rows(100, 0))


def test_too_few_posts_of_the_reference_are_refused():
    with pytest.raises(CovlaError, match="reference: 59 posts are too few"):
        check(rows(40, 1), rows(59, 0))


def test_a_missing_column_is_named():
    with pytest.raises(CovlaError, match="reference: no column image_blur"):
        check(rows(40, 1), rows(100, 0).drop(columns="image_blur"))


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
