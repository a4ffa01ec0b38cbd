"""Order, batches and refusals by deadline, whatever comes in whatever order."""

from concurrent.futures import Future
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covla.schemas.post import SocialPost
from covla.times import now
from services.rest.schedule import Job, Pace, Schedule

POST = SocialPost(post_id="p", created_at=now(), text="x")
BATCH = 8


class Even(Pace):
    """A tenth of a second a post, always."""

    @property
    def margin(self) -> float:
        return 0.0

    def seconds(self, posts: int) -> float:
        return posts / 10


@dataclass(frozen=True)
class Arrival:
    after: float  # the one before it
    allowed: float
    posts: int


arrivals = st.lists(
    st.builds(
        Arrival,
        st.floats(0, 2),
        st.floats(0.05, 8),
        st.integers(1, 12),
    ),
    max_size=30,
)


def job(deadline: float, posts: int = 1, number: int = 0) -> Job[str]:
    return Job(deadline, number, [POST] * posts, Future())


@given(arrivals)
def test_what_was_let_in_is_answered_by_its_deadline(coming: list[Arrival]) -> None:
    """A model that keeps its pace, and a queue that lets in what `overrun` has nothing against."""
    schedule: Schedule[str] = Schedule(BATCH, Even())
    clock, free_at, taken, let_in = 0.0, 0.0, [], []

    def run(until: float) -> None:
        nonlocal free_at
        while len(schedule) and free_at <= until:
            batch, late = schedule.take(free_at)
            assert not late
            posts = sum(len(one.posts) for one in batch)
            assert posts <= BATCH or len(batch) == 1
            free_at += posts / 10
            assert all(free_at <= one.deadline + 1e-6 for one in batch)
            taken.extend(batch)

    for number, arrival in enumerate(coming):
        clock += arrival.after
        run(clock)
        free_at = max(free_at, clock)
        one = job(clock + arrival.allowed, arrival.posts, number)
        if schedule.overrun(one, free_at) == 0:
            schedule.add(one)
            let_in.append(one)
    run(float("inf"))
    assert sorted(taken) == sorted(let_in)


def test_the_nearest_deadline_is_first_and_equal_ones_in_turn() -> None:
    schedule: Schedule[str] = Schedule(2, Even())
    for number, deadline in enumerate([9.0, 5.0, 9.0, 7.0]):
        schedule.add(job(deadline, number=number))
    order = [one.number for _ in range(2) for one in schedule.take(0.0)[0]]
    assert order == [1, 3, 0, 2]


def test_one_with_a_near_deadline_does_not_make_another_one_late() -> None:
    schedule: Schedule[str] = Schedule(BATCH, Even())
    schedule.add(job(1.0, posts=9))
    assert schedule.overrun(job(0.5, posts=2, number=1), 0.0) == pytest.approx(0.1)
    assert schedule.overrun(job(0.5, posts=1, number=1), 0.0) == 0
    assert schedule.overrun(job(2.0, posts=12, number=1), 0.0) == pytest.approx(0.1)


def test_what_can_no_more_be_in_time_is_given_back_apart() -> None:
    schedule: Schedule[str] = Schedule(BATCH, Even())
    late, long, good = job(1.0), job(1.05, posts=5), job(3.0)
    for one in (good, long, late):
        schedule.add(one)
    assert schedule.take(0.95) == ([good], [late, long])
    assert len(schedule) == 0


def test_one_that_left_waits_no_more() -> None:
    schedule: Schedule[str] = Schedule(BATCH, Even())
    first, second = job(1.0), job(1.0, number=1)
    schedule.add(first)
    schedule.add(second)
    assert schedule.remove(first)
    assert not schedule.remove(first)
    assert schedule.take(0.0) == ([second], [])


def test_the_pace_follows_the_model() -> None:
    pace = Pace()
    pace.learn(10, 1.0)
    assert (pace.seconds(10), pace.margin) == (pytest.approx(1.0), pytest.approx(1.0))
    for _ in range(80):
        pace.learn(10, 0.1)
    assert (pace.seconds(10), pace.margin) == (
        pytest.approx(0.1, rel=0.01),
        pytest.approx(0, abs=0.01),
    )


def test_a_post_alone_says_little_of_the_pace_of_many() -> None:
    pace = Pace()
    for _ in range(50):
        pace.learn(32, 0.32)
        pace.learn(1, 0.03)
    assert pace.seconds(32) == pytest.approx(0.34, abs=0.01)
    assert pace.margin < 0.06


def test_a_model_that_takes_now_more_now_less_has_a_wide_margin() -> None:
    pace = Pace()
    for _ in range(50):
        pace.learn(10, 0.1)
        pace.learn(10, 0.3)
    assert pace.seconds(10) + pace.margin > 0.3
