"""A bounded queue in front of the model: one thread predicts what waits, in batches."""

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from covla.errors import CovlaError, PostError, ServiceUnavailable
from covla.posts.probe import probe_post
from covla.schemas.post import SocialPost
from covla.schemas.prediction import Prediction
from services.model_provider import Model

# How often a model that failed is tried with a post that is known to be good.
PROBE_SECONDS = 5.0

log = logging.getLogger(__name__)


class Overloaded(CovlaError):
    """The queue is full; `retry_after` is how many seconds the work before it will take."""

    def __init__(self, waiting: int, retry_after: int) -> None:
        super().__init__(
            f"{waiting} posts are waiting already", hint=f"Try again in {retry_after} s"
        )
        self.retry_after = retry_after


@dataclass(frozen=True)
class Answer:
    """One result or one error per post, in order, and the version that gave them."""

    version: str
    results: list[Prediction | PostError]


@dataclass(frozen=True)
class _Job:
    posts: Sequence[SocialPost]
    answer: "Future[Answer]"


class PredictionQueue:
    """Takes posts from any thread; predicts in one, so that requests share the model in turn."""

    def __init__(
        self, current: Callable[[], Model], *, capacity: int, batch_size: int = 32
    ) -> None:
        """`current()` gives the model for the next batch: a new version takes over between two."""
        self._current = current
        self._capacity = capacity
        self._batch_size = batch_size
        self._jobs: deque[_Job] = deque()
        self._waiting = 0
        self._seconds_per_post = 0.02
        self._closed = False
        self._broken = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="predict", daemon=True)
        self._thread.start()

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

    def submit(self, posts: Sequence[SocialPost]) -> "Future[Answer]":
        """Queue posts; they are answered together.

        Raises:
            Overloaded: there is no room for all of them.
        """
        with self._changed:
            if self._closed or self._waiting + len(posts) > self._capacity:
                seconds = math.ceil(self._waiting * self._seconds_per_post)
                raise Overloaded(self._waiting, min(max(seconds, 1), 60))
            job = _Job(posts, Future())
            self._jobs.append(job)
            self._waiting += len(posts)
            self._changed.notify()
        return job.answer

    def close(self) -> None:
        """Answer what was accepted, then end."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _take(self) -> list[_Job]:
        """What waits, up to the batch size; empty after `close`, and when a probe is due."""
        with self._changed:
            due = PROBE_SECONDS if self._broken else None
            self._changed.wait_for(lambda: self._jobs or self._closed, timeout=due)
            taken: list[_Job] = []
            posts = 0
            while self._jobs and (
                not taken or posts + len(self._jobs[0].posts) <= self._batch_size
            ):
                taken.append(self._jobs.popleft())
                posts += len(taken[-1].posts)
            return taken

    def _work(self) -> None:
        while True:
            taken = self._take()
            if taken:
                self._answer(taken)
            elif self._closed:
                return
            elif self._fails() is None:
                self._broken = False
                log.warning("the model predicts again")

    def _answer(self, taken: list[_Job]) -> None:
        # A request that timed out or whose client left needs no answer.
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
            failure = self._fails()
            self._broken = failure is not None
            for job in jobs:
                if not job.answer.done():
                    job.answer.set_exception(failure or error)
        with self._changed:
            self._waiting -= sum(len(job.posts) for job in taken)
        if posts:
            spent = (time.monotonic() - started) / len(posts)
            self._seconds_per_post += 0.1 * (spent - self._seconds_per_post)

    def _fails(self) -> ServiceUnavailable | None:
        """What keeps the model from predicting even a post that is known to be good."""
        try:
            (answer,) = self._current().predict([probe_post()])
        except Exception as error:  # noqa: BLE001
            failure = ServiceUnavailable(f"the model fails: {type(error).__name__}: {error}")
            failure.__cause__ = error
            return failure
        if isinstance(answer, PostError):
            return ServiceUnavailable(f"the model fails: {answer}")
        return None
