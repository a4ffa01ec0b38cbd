"""The shadow: a version that answers the champion's posts too, for comparison alone (ADR 33).

It works in a thread of its own on what is committed already, within a share of the time. What it
does or does not do changes nothing for the champion.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from covla.errors import PostError
from covla.inference.predictor import Predictor
from covla.kafka import clients
from covla.kafka.dead_letters import parse_record
from covla.registry.follow import SECONDS, Follower
from covla.registry.rollout import read_shadow
from covla.schemas.post import SocialPost, parse_post
from covla.schemas.prediction import Prediction
from covla.settings import Settings
from services.model import Model
from services.online_context import online_context
from services.rollout_metrics import DIFFERENCE, DISAGREEMENTS, ROLES, SHADOW_DROPPED, SHADOW_POSTS

WAITING_POSTS = 256
WAITING_BYTES = 16_000_000
BURST_SECONDS = 1.0  # of work, saved up in quiet times
PAUSE_SECONDS = 60.0  # without posts after a failure
CLOSE_SECONDS = 5.0  # for what waits at the end

log = logging.getLogger(__name__)
Write = Callable[[Prediction, Callable[[BaseException | None], None]], None]


class Budget:
    """Seconds of work, earned at `share` of the time that passes. Safe in several threads."""

    def __init__(self, share: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._share = share
        self._clock = clock
        self._saved = BURST_SECONDS
        self._at = clock()
        self._lock = threading.Lock()

    def spend(self, seconds: float) -> None:
        """So many seconds of work were done."""
        with self._lock:
            self._earn()
            self._saved -= seconds

    @property
    def left(self) -> bool:
        """Whether work may begin."""
        with self._lock:
            self._earn()
            return self._saved > 0

    def _earn(self) -> None:
        now = self._clock()
        self._saved = min(self._saved + (now - self._at) * self._share, BURST_SECONDS)
        self._at = now


class Shadow:
    """Takes records that the champion has answered, and answers them within its budget."""

    def __init__(
        self,
        settings: Settings,
        current: Callable[[], Model | None],
        write: Write,
        *,
        budget: Budget | None = None,
    ) -> None:
        """
        Args:
            settings: the limits of a post, and the share of the time.
            current: the shadow's model, None while there is none.
            write: puts a prediction where it belongs, and calls back with an error or None, from
                any thread.
            budget: default: that of the settings.
        """
        self._settings = settings
        self._current = current
        self._write = write
        self._budget = budget or Budget(settings.shadow_cpu_share)
        self._waiting: deque[tuple[Any, Prediction]] = deque()
        self._bytes = 0
        self._paused_until = 0.0
        self._aside = False
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="shadow", daemon=True)
        self._thread.start()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """While the champion predicts: the shadow begins no post, so that it has all cores."""
        self._aside = True
        try:
            yield
        finally:
            with self._changed:
                self._aside = False
                self._changed.notify_all()

    def offer(self, answered: Iterable[tuple[Any, Prediction]]) -> None:
        """Kafka records and the champion's predictions of them, in one batch. Never waits for the
        shadow: what it has no time or room for is dropped and counted."""
        if self._current() is None:
            return
        with self._changed:
            for record, prediction in answered:
                if reason := self._full(len(record.value)):
                    SHADOW_DROPPED.labels(reason).inc()
                else:
                    self._waiting.append((record, prediction))
                    self._bytes += len(record.value)
            self._changed.notify()

    def _full(self, size: int) -> str | None:
        if time.monotonic() < self._paused_until:
            return "paused"
        if not self._budget.left:
            return "budget"
        full = len(self._waiting) >= WAITING_POSTS or self._bytes + size > WAITING_BYTES
        return "full" if full or self._closed else None

    def close(self) -> None:
        """Give what waits a few seconds, then end."""
        deadline = time.monotonic() + CLOSE_SECONDS
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting, timeout=CLOSE_SECONDS)
            SHADOW_DROPPED.labels("closed").inc(len(self._waiting))
            self._waiting.clear()
            self._closed = True
            self._changed.notify_all()
        self._thread.join(timeout=max(deadline - time.monotonic(), 0.1))

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if (self._aside or not self._budget.left) and not self._closed:
                    self._changed.wait(timeout=0.05)
                    continue
                if not self._waiting:
                    return
                record, prediction = self._waiting.popleft()
                self._bytes -= len(record.value)
                self._changed.notify_all()
            started = time.monotonic()
            try:
                self._answer(record, prediction)
            except Exception:  # noqa: BLE001  (logged; the champion must go on)
                self._failed()
            self._budget.spend(time.monotonic() - started)

    def _failed(self) -> None:
        self._paused_until = time.monotonic() + PAUSE_SECONDS
        SHADOW_DROPPED.labels("failed").inc()
        log.exception("the shadow fails, and rests for %.0f s", PAUSE_SECONDS)

    def _answer(self, record: Any, champion: Prediction) -> None:
        model = self._current()
        post = parse_record(record, parse_post, self._settings)
        if model is None or not isinstance(post, SocialPost):  # taken off meanwhile
            SHADOW_DROPPED.labels("closed").inc()
            return
        (given,) = model.predict([post])
        if isinstance(given, PostError):
            SHADOW_DROPPED.labels("refused").inc()
        else:
            self._write(given, lambda error: _written(given, champion, error))


def _written(given: Prediction, champion: Prediction, error: BaseException | None) -> None:
    """Compare what is on its topic; called from the thread that wrote it."""
    if error is not None:
        SHADOW_DROPPED.labels("unwritten").inc()
        log.warning("a prediction of the shadow is not written: %s", error)
        return
    SHADOW_POSTS.inc()
    DISAGREEMENTS.inc(given.label != champion.label)
    DIFFERENCE.observe(difference(given.probabilities, champion.probabilities))


def difference(one: dict[str, float], other: dict[str, float]) -> float:
    """Mean absolute difference of the probabilities, over the labels of both."""
    labels = one.keys() | other.keys()
    return sum(abs(one.get(name, 0.0) - other.get(name, 0.0)) for name in labels) / len(labels)


class ShadowFollower(Follower):
    """`current()` is the shadow's model, or None. It is loaded beside the champion, and one that
    cannot be is none; the reason is logged and kept in `error`."""

    name = "shadow-follower"
    trouble = "the shadow cannot be followed"

    def __init__(self, settings: Settings, *, interval: float = SECONDS) -> None:
        """`interval` is in seconds."""
        super().__init__(interval=interval)
        self._settings = settings
        self._current: Predictor | None = None

    def current(self) -> Predictor | None:
        """The model for the next post."""
        return self._current

    def check(self) -> bool:
        """Take up the registry's shadow; True if that changed anything.

        Raises:
            CovlaError: it cannot be loaded.
            ServiceUnavailable: the registry does not answer.
        """
        wanted, now = read_shadow(self._settings), self._current
        if wanted == (None if now is None else now.version):
            self._failed = None
            return False
        self._set(None)
        return now is not None if wanted is None else self._try(self._take, wanted)

    def _take(self, version: str) -> bool:
        predictor = Predictor.load(version, self._settings, online_context(self._settings))
        predictor.warm_up()
        self._set(predictor)
        log.info("version %s is the shadow", version)
        return True

    def _set(self, predictor: Predictor | None) -> None:
        self._current = predictor
        ROLES.shadow = None if predictor is None else predictor.version

    def _watch(self) -> None:
        self.look()  # in the thread: the champion does not wait for it
        super()._watch()


@contextmanager
def shadowing(settings: Settings) -> Iterator[Shadow]:
    """The shadow of a stream worker; predictions go to the topic of shadows.

    Raises:
        ServiceUnavailable: no broker answers.
    """
    topic = clients.Topics.of(settings).shadow
    writer = clients.producer(settings)

    def write(prediction: Prediction, done: Callable[[BaseException | None], None]) -> None:
        key, value = prediction.post_id.encode(), prediction.to_json()
        future = writer.send(topic, key=key, value=value)
        future.add_callback(lambda _: done(None)).add_errback(done)

    follower = ShadowFollower(settings)
    shadow = Shadow(settings, follower.current, write)
    follower.start()
    try:
        yield shadow
    finally:
        shadow.close()
        follower.stop()
        writer.close(timeout=CLOSE_SECONDS)
