from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from covla.errors import TooFew
from covla.settings import Settings
from covla.time_range import TimeRange
from monitoring.live_posts import live_posts, probability_matrix
from tests.features.posts import START
from tests.monitoring.live import keep, labelled, predicted

DAY = TimeRange(START, START + timedelta(days=1))
LATER = START + timedelta(hours=5)


def test_a_prediction_meets_the_last_label_of_its_post(offline_settings: Settings) -> None:
    keep(
        offline_settings,
        [predicted("a"), predicted("b", 0.6, label="restaurant_cafe", minutes=1)],
        [labelled("a", "restaurant_cafe", minutes=20), labelled("a", "home", minutes=30)],
        created=LATER,
    )
    rows = live_posts(DAY, offline_settings)
    assert rows["post_id"].tolist() == ["a", "b"]
    assert rows["y_true"].fillna("").tolist() == ["home", ""]
    assert rows["y_pred"].tolist() == ["home", "restaurant_cafe"]
    matrix, labels = probability_matrix(rows)
    assert labels == ["home", "restaurant_cafe"]
    assert matrix.ravel().tolist() == pytest.approx([0.9, 0.1, 0.4, 0.6], abs=1e-6)


def test_a_label_counts_when_it_is_known_and_says_how_late_it_came(
    offline_settings: Settings,
) -> None:
    keep(offline_settings, [predicted("a")])
    keep(offline_settings, [], [labelled("a")], created=LATER)
    before = live_posts(DAY, offline_settings, as_of=LATER - timedelta(seconds=1))
    assert before["y_true"].isna().tolist() == [True]
    after = live_posts(DAY, offline_settings, as_of=LATER)
    assert after["delay_hours"].tolist() == [5.0]


def test_each_version_has_a_row_of_its_own_for_a_post(offline_settings: Settings) -> None:
    keep(offline_settings, [predicted("a", version="7"), predicted("a", version="8", minutes=1)])
    rows = live_posts(DAY, offline_settings)
    assert rows["model_version"].tolist() == ["7", "8"]


def test_without_a_prediction_it_is_too_few_and_the_hint_names_both_workers(
    offline_settings: Settings,
) -> None:
    with pytest.raises(TooFew, match=r"nothing was predicted in .*") as caught:
        live_posts(DAY, offline_settings)
    assert "covla stream" in str(caught.value)
    assert "covla ingest" in str(caught.value)


@pytest.mark.slow
@hypothesis_settings(max_examples=20)
@given(order=st.permutations(range(6)), repeats=st.lists(st.integers(0, 5), max_size=4))
def test_neither_order_nor_repetition_changes_what_is_joined(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], repeats: list[int]
) -> None:
    settings = Settings(state=tmp_path_factory.mktemp("state"))
    made = [predicted(f"p{i}", minutes=i) for i in range(6)]
    known = [labelled(f"p{i}", minutes=60 + i) for i in range(6)]
    for step, i in enumerate([*order, *repeats]):  # a redelivery has its own offset
        keep(settings, [made[i]], [known[i]], first=10 * step)
    rows = live_posts(DAY, settings)
    assert rows["post_id"].tolist() == [f"p{i}" for i in range(6)]
    assert (rows["y_true"] == "home").all()
