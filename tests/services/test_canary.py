"""Which posts are the canary's, and that its failures are nobody else's."""

import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covla.errors import DeviceFailed, PostError
from covla.schemas.post import SocialPost
from covla.schemas.prediction import Prediction
from covla.times import now
from services import canary
from services.canary import Canary, Routed, place_of
from services.rollout_metrics import FALLBACKS

POST_IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
WEIGHTS = st.floats(0, 1)


def posts(count: int, text: str = "fine") -> list[SocialPost]:
    return [SocialPost(post_id=f"p{i}", created_at=now(), text=text) for i in range(count)]


def fallbacks(reason: str) -> float:
    return float(FALLBACKS.labels(reason)._value.get())


def versions(results: list[Prediction | PostError]) -> list[str]:
    return [one.model_version for one in results if isinstance(one, Prediction)]


@given(post_id=POST_IDS, weights=st.tuples(WEIGHTS, WEIGHTS).map(sorted))
def test_a_larger_weight_only_moves_posts_to_the_canary(post_id: str, weights: list[float]) -> None:
    smaller, larger = (place_of(post_id) < weight for weight in weights)
    assert smaller <= larger
    assert 0 <= place_of(post_id) < 1
    assert place_of(post_id) == place_of(post_id)


def test_places_are_even_and_never_change() -> None:
    assert place_of("p0") == 0.5236044634489843  # of this release and of the next
    places = sorted(place_of(f"post-{i}") for i in range(20_000))
    assert max(abs(place - i / 20_000) for i, place in enumerate(places)) < 0.015


def test_each_post_is_answered_by_its_version_in_order(echo: Any) -> None:
    other = type(echo)()
    other.version = "echo-2"
    some = posts(200)
    for weight in (0.0, 0.3, 1.0):
        both = Routed(echo, Canary(other, weight))
        expected = ["echo-2" if place_of(p.post_id) < weight else "echo-1" for p in some]
        results = both.predict(some)
        assert versions(results) == expected
        assert [one.post_id for one in results if isinstance(one, Prediction)] == [
            post.post_id for post in some
        ]
        assert both.version == "echo-1"
    assert len(set(expected)) == 1


def test_a_canary_that_fails_costs_no_prediction_and_rests(
    echo: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(type(echo)):  # type: ignore[misc]
        def predict(self, items: Any) -> Any:
            self.batches.append(len(items))
            raise MemoryError

    broken = Broken()
    both = Routed(echo, Canary(broken, 1.0))
    before = fallbacks("failed"), fallbacks("paused")
    with caplog.at_level(logging.ERROR):
        assert versions(both.predict(posts(3))) == ["echo-1"] * 3
    assert "the canary, version echo-1, fails" in caplog.text
    assert versions(both.predict(posts(4))) == ["echo-1"] * 4
    assert broken.batches == [3]  # it is left alone for a while
    assert (fallbacks("failed"), fallbacks("paused")) == (before[0] + 3, before[1] + 4)
    monkeypatch.setattr(canary, "PAUSE_SECONDS", 0)
    again = Routed(echo, Canary(broken, 1.0))
    again.predict(posts(1))
    again.predict(posts(1))
    assert broken.batches == [3, 1, 1]


def test_a_gpu_that_failed_is_the_champions_too(echo: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(_: object) -> Any:
        raise DeviceFailed("the GPU failed")

    other = type(echo)()
    monkeypatch.setattr(other, "predict", lost)
    with pytest.raises(DeviceFailed):
        Routed(echo, Canary(other, 1.0)).predict(posts(1))


def test_a_post_that_the_canary_refuses_is_asked_of_the_champion(echo: Any) -> None:
    other = type(echo)()
    other.version = "echo-2"
    other.answer = lambda **_: PostError("text", "internal", "this version fails")
    before = fallbacks("refused")
    both = Routed(echo, Canary(other, 1.0))
    assert versions(both.predict(posts(2))) == ["echo-1"] * 2
    (refused,) = both.predict(posts(1, "refuse"))  # a post that both refuse
    assert isinstance(refused, PostError)
    assert refused.field == "image"
    assert fallbacks("refused") == before + 3
