"""The queue in front of the model."""

import time
from collections.abc import Callable
from concurrent.futures import wait
from typing import Any

import pytest

from covla.errors import DeviceFailed
from covla.schemas.post import SocialPost
from covla.times import now
from services.rest.queue import Overloaded, PredictionQueue


def _posts(count: int) -> list[SocialPost]:
    return [
        SocialPost(post_id=f"p-{i}", created_at=now(), text="x" * i or "y") for i in range(count)
    ]


def test_what_waits_is_predicted_together_and_answers_stay_apart(echo: Any) -> None:
    echo.gate.clear()
    queue = PredictionQueue(lambda: echo, capacity=100, batch_size=8)
    answers = [queue.submit([post]) for post in _posts(17)]
    echo.gate.set()
    wait(answers, timeout=20)
    queue.close()
    ids = [answer.result().results[0].post_id for answer in answers]  # type: ignore[union-attr]
    assert ids == [f"p-{i}" for i in range(17)]
    assert max(echo.batches) == 8
    assert sum(echo.batches) == 17


def test_close_answers_what_was_accepted_and_takes_no_more(echo: Any) -> None:
    echo.gate.clear()
    queue = PredictionQueue(lambda: echo, capacity=100)
    answers = [queue.submit([post]) for post in _posts(40)]
    echo.gate.set()
    queue.close()
    assert all(answer.done() for answer in answers)
    assert not queue.alive
    with pytest.raises(Overloaded):
        queue.submit(_posts(1))


def test_the_bound_holds_and_room_comes_back(echo: Any) -> None:
    echo.gate.clear()
    queue = PredictionQueue(lambda: echo, capacity=10)
    accepted = queue.submit(_posts(10))
    with pytest.raises(Overloaded, match="10 posts are waiting") as refused:
        queue.submit(_posts(1))
    assert refused.value.retry_after >= 1
    cancelled = accepted.cancel()
    echo.gate.set()
    queue.close()
    assert queue.waiting == 0
    assert cancelled or len(accepted.result().results) == 10


def test_posts_that_nobody_waits_for_are_not_predicted(echo: Any) -> None:
    echo.gate.clear()
    queue = PredictionQueue(lambda: echo, capacity=100, batch_size=1)
    first = queue.submit(_posts(1))
    second = queue.submit(_posts(5))
    assert second.cancel()
    echo.gate.set()
    assert first.result(timeout=10).version == "echo-1"
    queue.close()
    assert sum(echo.batches) == 1


def test_a_cancelled_one_gives_its_room_back_at_once(echo: Any) -> None:
    echo.gate.clear()
    queue = PredictionQueue(lambda: echo, capacity=3, batch_size=1)
    first = queue.submit(_posts(1))
    _until(lambda: len(queue._jobs) == 0)
    second = queue.submit(_posts(2))
    with pytest.raises(Overloaded):
        queue.submit(_posts(1))
    second.cancel()
    assert queue.waiting == 1
    third = queue.submit(_posts(2))
    echo.gate.set()
    assert first.result(10)
    assert len(third.result(10).results) == 2
    queue.close()


def test_what_a_slow_batch_made_late_is_refused_and_not_predicted(echo: Any) -> None:
    echo.gate.clear()
    queue = PredictionQueue(lambda: echo, capacity=100)
    first = queue.submit(_posts(1))
    _until(lambda: len(queue._jobs) == 0)
    late = queue.submit(_posts(2), time.monotonic() + 0.2)
    patient = queue.submit(_posts(3), time.monotonic() + 60)
    time.sleep(0.3)
    echo.gate.set()
    with pytest.raises(Overloaded, match="within its timeout"):
        late.result(10)
    assert len(patient.result(10).results) == 3
    assert first.result(10)
    queue.close()
    assert echo.batches == [1, 3]
    assert queue.waiting == 0


def test_what_cannot_be_in_time_is_refused_before_it_waits(echo: Any) -> None:
    queue = PredictionQueue(lambda: echo, capacity=1000)
    queue._pace.learn(1, 0.1)
    with pytest.raises(Overloaded, match="within its timeout") as refused:
        queue.submit(_posts(100), time.monotonic() + 2)
    assert 8 <= refused.value.retry_after <= 14
    assert queue.waiting == 0
    queue.close()
    assert echo.batches == []


def test_a_gpu_that_failed_ends_the_queue_once(echo: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []
    queue = PredictionQueue(
        lambda: echo, capacity=100, batch_size=1, failed=lambda error: ended.append(str(error))
    )

    def lost(_: object) -> Any:
        raise DeviceFailed("the GPU failed: CUDA error: unspecified launch failure")

    echo.gate.clear()
    with monkeypatch.context() as patch:
        patch.setattr(echo, "predict", lost)
        answers = [queue.submit([post]) for post in _posts(3)]
        assert all(isinstance(answer.exception(10), DeviceFailed) for answer in answers)
    # It stays so, whatever the model does now: only another process has the GPU back.
    assert queue.alive
    assert not queue.ready
    with pytest.raises(DeviceFailed, match="unspecified launch"):
        queue.submit(_posts(1))
    queue.close()
    assert ended == ["the GPU failed: CUDA error: unspecified launch failure"]
    assert echo.batches == []


def _until(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.005)
