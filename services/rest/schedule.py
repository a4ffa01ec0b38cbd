"""What waits for the model, the nearest deadline first, and what can still be answered in time."""

from bisect import insort
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from covla.schemas.post import SocialPost

Answer = TypeVar("Answer")


@dataclass(frozen=True, order=True)
class Job(Generic[Answer]):
    """Posts that are answered together, in one batch."""

    deadline: float  # in seconds of time.monotonic()
    number: int  # of two with one deadline, the one that came first is first
    posts: Sequence[SocialPost] = field(compare=False)
    answer: "Future[Answer]" = field(compare=False)


class Pace:
    """How many seconds posts take, learned from the batches so far, the last ones above all.

    The mean is of posts, not of batches: one alone leaves cores idle and says little of many. The
    margin is two deviations of a batch from it, as of a TCP round trip (RFC 6298).
    """

    def __init__(self, seconds: float = 0.02) -> None:
        self._seconds, self._posts = seconds, 1.0
        self._deviation = seconds / 2
        self._learned = False

    @property
    def margin(self) -> float:
        """By how many seconds a batch may be late."""
        return 2 * self._deviation

    def learn(self, posts: int, seconds: float) -> None:
        """Take in what a batch took."""
        if not self._learned:
            self._seconds, self._posts, self._deviation = seconds, posts, seconds / 2
            self._learned = True
            return
        self._deviation += 0.25 * (abs(seconds - self.seconds(posts)) - self._deviation)
        self._seconds = 0.875 * self._seconds + seconds
        self._posts = 0.875 * self._posts + posts

    def seconds(self, posts: int) -> float:
        """What so many posts take on average."""
        return posts * self._seconds / self._posts


class Schedule(Generic[Answer]):
    """Jobs in the order of their deadlines. Not safe to use from two threads at once."""

    def __init__(self, batch_size: int, pace: Pace) -> None:
        self._batch_size = batch_size
        self._pace = pace
        self._jobs: list[Job[Answer]] = []

    def __len__(self) -> int:
        return len(self._jobs)

    def overrun(self, job: Job[Answer], free_at: float) -> float:
        """By how many seconds an answer would be late if `job` were added: its own, or that of one
        that would be in time without it; 0 where none would.

        Args:
            free_at: when the model has done what it does now, of `time.monotonic()`.
        """
        own = self._pace.seconds(len(job.posts))
        end, late = free_at + self._pace.margin, 0.0
        placed = False
        for other in self._jobs:
            if not placed and job < other:
                late, placed = max(late, end + own - job.deadline), True
            end += self._pace.seconds(len(other.posts))
            if placed and end <= other.deadline:
                late = max(late, end + own - other.deadline)
        return late if placed else max(late, end + own - job.deadline)

    def add(self, job: Job[Answer]) -> None:
        """Let a job wait."""
        insort(self._jobs, job)

    def remove(self, job: Job[Answer]) -> bool:
        """Whether a job waited, which it does no more."""
        if job not in self._jobs:
            return False
        self._jobs.remove(job)
        return True

    def take(self, now: float) -> tuple[list[Job[Answer]], list[Job[Answer]]]:
        """The next batch, and what cannot be answered in time any more; both wait no more.

        A batch is as long as the batch size allows, one job at least, and no longer than its first
        deadline does, since its answers come together.
        """
        batch: list[Job[Answer]] = []
        late: list[Job[Answer]] = []
        posts = 0
        now += self._pace.margin
        for job in self._jobs:
            if now + self._pace.seconds(len(job.posts)) > job.deadline:
                late.append(job)
                continue
            more = posts + len(job.posts)
            in_time = now + self._pace.seconds(more) <= batch[0].deadline if batch else True
            if batch and (more > self._batch_size or not in_time):
                break
            batch.append(job)
            posts = more
        del self._jobs[: len(batch) + len(late)]
        return batch, late
