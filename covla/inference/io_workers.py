"""Posts made ready for the networks in processes of their own, which import no torch (ADR 35).

One interpreter decodes some hundred images a second, whatever it has threads; a GPU takes more.
"""

import logging
import multiprocessing
import signal
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from threading import Lock

from covla.errors import PostError, ServiceUnavailable
from covla.inference.preparation import Prepared, internal, prepare_one
from covla.parent_process import end_with_parent
from covla.posts.image_store import BlobStore
from covla.posts.probe import probe_post
from covla.schemas.post import SocialPost
from covla.settings import Settings

TASK_POSTS = 4  # sent together: each task costs the sender a tenth of a millisecond

log = logging.getLogger(__name__)
Work = Callable[[Sequence[SocialPost]], list[Prepared]]
_HERE: list[tuple[Settings, BlobStore]] = []


class IoWorkers:
    """Prepares in processes. One that is killed costs no post its answer, and a post that kills
    whoever prepares it is an error by itself."""

    def __init__(self, settings: Settings, workers: int, *, work: Work | None = None) -> None:
        """`work` is what a process does with posts; default: `prepare_posts`.

        Raises:
            ServiceUnavailable: the processes cannot be started.
        """
        self._settings = settings
        self.workers = workers
        self._work = work or prepare_posts
        self._renewing = Lock()
        self._pool = self._start(workers)
        # Started now, and not by the first request.
        try:
            for future in [self._submit(self._pool, []) for _ in range(workers)]:
                future.result()
        except BrokenProcessPool as error:
            raise ServiceUnavailable("I/O workers end as soon as they start") from error

    def __del__(self) -> None:
        # Waits for the end: one under way when the interpreter ends as well fails at it. One that
        # is there until then was ended by concurrent.futures already.
        if (pool := getattr(self, "_pool", None)) is not None and not sys.is_finalizing():
            pool.shutdown()

    def _start(self, workers: int) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
        try:
            return ProcessPoolExecutor(workers, context, _begin, (self._settings,))
        except OSError as error:
            raise ServiceUnavailable(f"no I/O worker can be started: {error}") from error

    def _submit(
        self, pool: ProcessPoolExecutor, posts: Sequence[SocialPost]
    ) -> "Future[list[Prepared]]":
        try:
            return pool.submit(self._work, posts)
        except OSError as error:
            raise ServiceUnavailable(f"no I/O worker can be started: {error}") from error

    def submit(self, posts: Sequence[SocialPost]) -> Callable[[], list[Prepared]]:
        """As `Preparation` says; `image_bytes` stay in the worker, and are None here."""
        tasks = [posts[i : i + TASK_POSTS] for i in range(0, len(posts), TASK_POSTS)]
        pending = [(task, self._send(task)) for task in tasks]
        return lambda: [item for task in pending for item in self._taken(*task)]

    def _send(self, task: Sequence[SocialPost]) -> "Future[list[Prepared]]":
        with self._renewing:
            try:
                return self._submit(self._pool, task)
            except BrokenProcessPool:
                self._pool = self._start(self.workers)
                return self._submit(self._pool, task)

    def _taken(
        self, task: Sequence[SocialPost], future: "Future[list[Prepared]]"
    ) -> list[Prepared]:
        try:
            found = future.result()
        except BrokenProcessPool:
            found = self._again(task)
        return [
            item if isinstance(item, PostError) else replace(item, post=post)
            for post, item in zip(task, found, strict=True)
        ]

    def _again(self, task: Sequence[SocialPost]) -> list[Prepared]:
        log.warning("an I/O worker ended; the posts that were under way are prepared again")
        try:
            return self._send(task).result()
        except BrokenProcessPool:
            # Of all that were under way then, it may have been any one.
            return [self._alone(post) for post in task]

    def _alone(self, post: SocialPost) -> Prepared:
        try:
            return self._in_own_process(post)
        except BrokenProcessPool as error:
            failure = error
        try:
            self._in_own_process(probe_post())
        except BrokenProcessPool as error:
            raise ServiceUnavailable("I/O workers end on every post") from error
        return internal(post, failure)

    def _in_own_process(self, post: SocialPost) -> Prepared:
        with self._start(1) as pool:
            return self._submit(pool, [post]).result()[0]


def _begin(settings: Settings) -> None:
    # A signal to the group of processes is the parent's to act on: it has posts under way.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    end_with_parent()
    _HERE[:] = [(settings, BlobStore(settings))]


def prepare_posts(posts: Sequence[SocialPost]) -> list[Prepared]:
    """What an I/O worker does. The images as they came go back to nobody: their pixels do."""
    settings, blobs = _HERE[0]
    found = [prepare_one(post, settings, blobs) for post in posts]
    return [
        item
        if isinstance(item, PostError)
        else replace(item, post=item.post.model_copy(update={"image": None}), image_bytes=None)
        for item in found
    ]
