import pandas as pd
import pytest

from covla.errors import CovlaError
from monitoring.performance import performance


def predictions(*rows):
    return pd.DataFrame(
        [(post, pd.Timestamp(at, tz="UTC"), label, "7") for post, at, label in rows],
        columns=["post_id", "event_timestamp", "label", "model_version"],
    )


def test_accuracy_and_macro_f1_per_hour():
    made = predictions(
        ("a", "2026-05-01T10:10", "home"),
        ("b", "2026-05-01T10:50", "home"),
        ("c", "2026-05-01T11:00", "shop"),
        ("d", "2026-05-01T11:30", "shop"),  # no label yet
    )
    truth = pd.DataFrame({"post_id": ["a", "b", "c"], "label": ["home", "shop", "shop"]})
    first, second = performance(made, truth)
    assert (first.start, first.posts, first.labelled) == (
        "2026-05-01T10:00:00+00:00",
        2,
        2,
    )
    assert first.accuracy == 0.5
    assert first.macro_f1 == pytest.approx((2 / 3 + 0) / 2)
    assert (second.posts, second.labelled, second.accuracy) == (2, 1, 1.0)


def test_a_repeated_prediction_counts_once_and_the_last_label_wins():
    made = predictions(("a", "2026-05-01T10:10", "home"), ("a", "2026-05-01T10:10", "home"))
    truth = pd.DataFrame({"post_id": ["a", "a"], "label": ["shop", "home"]})
    (slot,) = performance(made, truth)
    assert (slot.posts, slot.accuracy) == (1, 1.0)


def test_without_any_label_it_says_so():
    truth = pd.DataFrame({"post_id": ["z"], "label": ["home"]})
    with pytest.raises(CovlaError, match="no predicted post"):
        performance(predictions(("a", "2026-05-01T10:10", "home")), truth)
