"""A bounded queue in front of the model: one thread predicts what waits, in batches, the nearest
deadline first. What cannot be answered by its deadline is refused, at once where that is known."""

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import count

from covla.errors import CovlaError, DeviceFailed, PostError, ServiceUnavailable
from covla.posts.probe import probe_post
from covla.schemas.post import SocialPost
from covla.schemas.prediction import Prediction
from services.model import Model
from services.rest.schedule import Job, Pace, Schedule

# How often a model that failed is tried with a post that is known to be good.
PROBE_SECONDS = 5.0

log = logging.getLogger(__name__)


class Overloaded(CovlaError):
    """There is too much work before it; `retry_after` says in how many seconds there is less."""

    def __init__(self, waiting: int, seconds: float, *, late: bool = False) -> None:
        self.retry_after = min(max(math.ceil(seconds), 1), 60)
        what = f"{waiting} posts are waiting already"
        if late:
            what = f"cannot be answered within its timeout; {waiting} posts are waiting"
        super().__init__(what, hint=f"Try again in {self.retry_after} s")


@dataclass(frozen=True)
class Answer:
    """One result or one error per post, in order, and the champion that gave them, or whose canary
    gave some of them."""

    version: str
    results: list[Prediction | PostError]

    @property
    def versions(self) -> list[str]:
        """Those that gave the predictions, the champion first; the champion where there is none."""
        given = {one.model_version for one in self.results if isinstance(one, Prediction)}
        return sorted(given, key=lambda version: version != self.version) or [self.version]


class PredictionQueue:
    """Takes posts from any thread; predicts in one, so that requests share the model in turn."""

    def __init__(
        self,
        current: Callable[[], Model],
        *,
        capacity: int,
        batch_size: int = 32,
        failed: Callable[[DeviceFailed], None] = lambda error: None,
    ) -> None:
        """
        Args:
            current: gives the model for the next batch: a new version takes over between two.
            capacity: posts that may wait.
            batch_size: posts of a batch.
            failed: called once, in the predicting thread, when only another process can go on.
        """
        self._current = current
        self._capacity = capacity
        self._pace = Pace()
        self._jobs: Schedule[Answer] = Schedule(batch_size, self._pace)
        self._numbers = count()
        self._waiting = 0
        self._free_at = 0.0
        self._closed = False
        self._broken = False
        self._failed = failed
        self._failure: DeviceFailed | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="predict", daemon=True)
        self._thread.start()

    @property
    def model(self) -> Model:
        """The model that predicts the next batch."""
        return self._current()

    @property
    def waiting(self) -> int:
        """Posts accepted and not yet answered."""
        return self._waiting

    @property
    def alive(self) -> bool:
        """Whether posts are still answered."""
        return self._thread.is_alive() and not self._closed

    @property
    def ready(self) -> bool:
        """Whether posts can be predicted, as far as the last ones show; else a probe finds out."""
        return self.alive and not self._broken

    def submit(self, posts: Sequence[SocialPost], deadline: float = math.inf) -> "Future[Answer]":
        """Queue posts; they are answered together, by `deadline` in seconds of `time.monotonic()`.

        A future that is cancelled gives its place to others.

        Raises:
            Overloaded: there is no room for all of them, or no time. The future raises it too,
                where the model takes longer than it did before.
            DeviceFailed: the GPU did, here before or while the posts waited.
        """
        with self._changed:
            if self._failure is not None:
                raise self._failure
            if self._closed or self._waiting + len(posts) > self._capacity:
                raise Overloaded(self._waiting, self._pace.seconds(self._waiting))
            job: Job[Answer] = Job(deadline, next(self._numbers), posts, Future())
            late = self._jobs.overrun(job, max(self._free_at, time.monotonic()))
            if late > 0:
                raise Overloaded(self._waiting, late, late=True)
            self._jobs.add(job)
            self._waiting += len(posts)
            self._changed.notify()
        job.answer.add_done_callback(lambda answer: self._left(job) if answer.cancelled() else None)
        return job.answer

    def _left(self, job: Job[Answer]) -> None:
        with self._changed:
            if self._jobs.remove(job):
                self._waiting -= len(job.posts)

    def close(self) -> None:
        """Answer what was accepted, then end."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _take(self) -> list[Job[Answer]]:
        """The next batch; empty after `close`, when a probe is due, and when all were late."""
        with self._changed:
            due = PROBE_SECONDS if self._broken else None
            self._changed.wait_for(lambda: self._jobs or self._closed, timeout=due)
            started = time.monotonic()
            batch, late = self._jobs.take(started)
            self._waiting -= sum(len(job.posts) for job in late)
            self._free_at = started + self._pace.seconds(sum(len(job.posts) for job in batch))
            waiting = self._waiting
        for job in late:
            if job.answer.set_running_or_notify_cancel():
                seconds = self._pace.seconds(waiting)
                job.answer.set_exception(Overloaded(waiting, seconds, late=True))
        return batch

    def _work(self) -> None:
        while True:
            taken = self._take()
            if taken:
                self._answer(taken)
            elif self._closed and not self._jobs:
                return
            elif self._broken and self._fails() is None:
                self._broken = False
                log.warning("the model predicts again")

    def _answer(self, taken: list[Job[Answer]]) -> None:
        # One whose client left needs no answer.
        jobs = [job for job in taken if job.answer.set_running_or_notify_cancel()]
        posts = [post for job in jobs for post in job.posts]
        started = time.monotonic()
        try:
            model = self._current()
            results = iter(model.predict(posts) if posts else [])
            for job in jobs:
                job.answer.set_result(Answer(model.version, [next(results) for _ in job.posts]))
            self._broken &= not posts
        except Exception as error:  # noqa: BLE001  (handed to the requests, which log it)
            failure = self.end(error) if isinstance(error, DeviceFailed) else self._fails()
            self._broken = failure is not None
            for job in jobs:
                if not job.answer.done():
                    job.answer.set_exception(failure or error)
        with self._changed:
            self._waiting -= sum(len(job.posts) for job in taken)
        if posts:
            self._pace.learn(len(posts), time.monotonic() - started)

    def end(self, error: DeviceFailed) -> DeviceFailed:
        """Predict no more: this process cannot. Returns the first error of those that say so."""
        with self._changed:
            first, self._failure = self._failure is None, self._failure or error
            self._broken = True
        if first:
            log.critical("this process can predict no more: %s", error)
            self._failed(error)
        return self._failure

    def _fails(self) -> ServiceUnavailable | None:
        """What keeps the model from predicting even a post that is known to be good."""
        try:
            (answer,) = self._current().predict([probe_post()])
        except DeviceFailed as error:
            return self.end(error)
        except Exception as error:  # noqa: BLE001
            failure = ServiceUnavailable(f"the model fails: {type(error).__name__}: {error}")
            failure.__cause__ = error
            return failure
        if isinstance(answer, PostError):
            return ServiceUnavailable(f"the model fails: {answer}")
        return None
