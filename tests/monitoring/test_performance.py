from datetime import timedelta

import pytest

from covla.settings import Settings
from covla.time_range import TimeRange
from monitoring.live_posts import live_posts
from monitoring.performance import VersionPerformance, performance
from tests.features.posts import START
from tests.monitoring.live import keep, labelled, predicted

DAY = TimeRange(START, START + timedelta(days=1))


def measured(settings: Settings) -> list[VersionPerformance]:
    return performance(live_posts(DAY, settings))


@pytest.fixture
def settings(offline_settings: Settings) -> Settings:
    """Five posts in two hours; the third is wrong, the last has no label yet."""
    keep(
        offline_settings,
        [
            predicted("a", minutes=10),
            predicted("b", minutes=50, label="restaurant_cafe"),
            predicted("c", minutes=55, label="restaurant_cafe", modalities=("text",)),
            predicted("d", minutes=60),
            predicted("e", 0.6, minutes=90),
        ],
        [
            labelled("a"),
            labelled("b", "restaurant_cafe"),
            labelled("c", "home"),
            labelled("d"),
        ],
    )
    return offline_settings


def test_accuracy_is_of_the_labelled_posts_with_wilsons_interval(settings: Settings) -> None:
    (found,) = measured(settings)
    assert (found.model_version, found.posts, found.labelled) == ("7", 5, 4)
    assert found.accuracy is not None
    # Wilson's interval of 3 in 4.
    assert (found.accuracy.value, found.accuracy.low, found.accuracy.high) == pytest.approx(
        (0.75, 0.3006, 0.9544), abs=1e-4
    )
    assert found.macro_f1 == pytest.approx((0.8 + 2 / 3) / 2)
    assert found.estimated_accuracy.value == pytest.approx((4 * 0.9 + 0.6) / 5)


def test_each_hour_label_and_modality_has_its_own(settings: Settings) -> None:
    (found,) = measured(settings)
    first, second = found.per_hour.values()
    assert list(found.per_hour) == ["2026-05-01T00:00:00+00:00", "2026-05-01T01:00:00+00:00"]
    assert (first.posts, first.labelled, second.posts, second.labelled) == (3, 3, 2, 1)
    assert first.accuracy is not None
    assert first.accuracy.value == pytest.approx(2 / 3)
    home = found.per_label["home"]
    assert home.labelled == 3
    assert home.recall is not None
    assert home.precision is not None
    assert (home.recall.value, home.precision.value) == (pytest.approx(2 / 3), 1.0)
    assert found.per_modality["text"].accuracy is not None
    assert found.per_modality["text"].accuracy.value == 0
    assert found.per_modality["text+image"].labelled == 3


def test_without_a_label_there_is_an_estimate_alone(offline_settings: Settings) -> None:
    keep(offline_settings, [predicted("a", 0.8), predicted("b", 0.6)])
    (found,) = measured(offline_settings)
    assert (found.accuracy, found.macro_f1, found.ece, found.label_delay_hours) == (None,) * 4
    assert found.per_label["home"].recall is None
    assert found.estimated_accuracy.value == pytest.approx(0.7)


def test_a_label_that_the_version_does_not_know_is_a_miss(offline_settings: Settings) -> None:
    keep(offline_settings, [predicted("a"), predicted("b")], [labelled("a"), labelled("b", "park")])
    (found,) = measured(offline_settings)
    assert found.accuracy is not None
    assert found.accuracy.value == 0.5
    assert found.per_label["park"].labelled == 1
    assert found.ece == pytest.approx(0.1)  # of post a alone


def test_versions_are_apart(offline_settings: Settings) -> None:
    keep(
        offline_settings,
        [predicted("a", version="7"), predicted("b", version="8", label="restaurant_cafe")],
        [labelled("a"), labelled("b")],
    )
    seven, eight = measured(offline_settings)
    assert seven.accuracy is not None
    assert eight.accuracy is not None
    assert (seven.accuracy.value, eight.accuracy.value) == (1.0, 0.0)


def test_a_version_whose_probabilities_promise_too_much_under_noise_is_estimated_lower(
    settings: Settings,
) -> None:
    rows = live_posts(DAY, settings)
    (plain,), (other,) = performance(rows), performance(rows, {"7": 0.5, "8": 2.0})
    assert other.estimated_accuracy.value < plain.estimated_accuracy.value
    assert other.estimated_macro_f1 < plain.estimated_macro_f1
    assert other.per_hour.keys() == plain.per_hour.keys()
    assert (other.accuracy, other.ece) == (plain.accuracy, plain.ece)
