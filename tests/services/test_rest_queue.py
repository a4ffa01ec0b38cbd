"""The queue in front of the model."""

from concurrent.futures import wait
from typing import Any

import pytest

from covla.schemas.post import SocialPost
from covla.times import now
from services.rest_queue import Overloaded, PredictionQueue


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
