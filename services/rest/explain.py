"""`POST /explain`: why the model answers as it does. A dozen forward passes and maybe an image, so
one is made at a time and few wait."""

import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from covla.errors import CovlaError, DeviceFailed, PostError
from covla.schemas.explanation import Explained
from covla.schemas.post import SocialPost
from services.model import Current, Model
from services.rest.queue import Overloaded

WAITING = 4
SECONDS = 1  # of one with an image; without it a tenth of that

# A post, and whether an image is wanted: the explanation, and a PNG or nothing.
Make = Callable[[SocialPost, bool], tuple[Explained, bytes]]


@dataclass(frozen=True)
class Reply:
    """What goes out."""

    version: str
    media_type: str
    content: bytes
    explained: Explained


def maker(current: Current) -> Make:
    """Explains with whoever serves now: with the canary for a post that is the canary's, unless
    that fails."""
    from covla.inference.explanation.explain import explain
    from covla.inference.predictor import Predictor
    from covla.posts.preprocessing import PreparedPost
    from services.canary import Routed
    from services.rollout_metrics import FALLBACKS

    def make(post: SocialPost, image: bool) -> tuple[Explained, bytes]:
        model = current()
        if isinstance(model, Routed):
            champion, canary = model.champion, model.canary
            if canary.has(post) and not canary.paused:
                try:
                    return of(canary.model, post, image)
                except PostError:
                    FALLBACKS.labels("refused").inc()
                except DeviceFailed:
                    raise  # it is the champion's too
                except Exception:  # noqa: BLE001  (logged; the champion answers)
                    canary.failed(1)
            model = champion
        return of(model, post, image)

    def of(model: Model, post: SocialPost, image: bool) -> tuple[Explained, bytes]:
        assert isinstance(model, Predictor)
        try:
            explained = explain(model, post)
        except (CovlaError, MemoryError):
            raise
        except Exception:
            model.check()  # a broken backend is no fault of the post
            raise
        if not image:
            return explained, b""
        from covla.inference.explanation.rendering import draw

        item = model.prepare(post)
        assert isinstance(item, PreparedPost)
        return explained, draw(explained, item.text, item.image)

    return make


class Explanations:
    """Takes posts from any thread, explains them one after another in a thread of its own."""

    def __init__(self, make: Make, *, capacity: int = WAITING) -> None:
        self._make = make
        self._capacity = capacity
        self._waiting = 0
        self._closed = False
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="explain")

    def submit(
        self, post: SocialPost, *, image: bool, deadline: float = math.inf
    ) -> "Future[Reply]":
        """Queue one post, to be begun by `deadline` in seconds of `time.monotonic()`.

        Raises:
            Overloaded: enough are waiting; nothing was done. The future raises it too, where the
                ones before it took until the deadline.
        """
        with self._lock:
            if self._closed or self._waiting >= self._capacity:
                raise Overloaded(self._waiting, max(self._waiting, 1) * SECONDS)
            self._waiting += 1
            future = self._pool.submit(self._answer, post, image, deadline)
        future.add_done_callback(self._done)
        return future

    def _done(self, _: "Future[Reply]") -> None:
        with self._lock:
            self._waiting -= 1

    def _answer(self, post: SocialPost, image: bool, deadline: float) -> Reply:
        if time.monotonic() > deadline:
            raise Overloaded(self._waiting - 1, SECONDS, late=True)
        explained, drawn = self._make(post, image)
        version = explained.prediction.model_version
        if image:
            return Reply(version, "image/png", drawn, explained)
        return Reply(version, "application/json", explained.to_json(), explained)

    def close(self) -> None:
        """Answer what was accepted, then end."""
        with self._lock:
            self._closed = True
        self._pool.shutdown()


def wants_image(accept: str) -> bool:
    """Whether an Accept header puts PNG before JSON (RFC 9110, 12.5.1)."""

    def quality(media_type: str) -> float:
        best = (-1, 0.0)  # the most specific range decides
        for part in accept.lower().split(","):
            name, *parameters = (piece.strip() for piece in part.split(";"))
            ranges = (media_type, media_type.split("/", maxsplit=1)[0] + "/*", "*/*")
            if name not in ranges:
                continue
            q = next((p[2:] for p in parameters if p.startswith("q=")), "1")
            try:
                best = max(best, (-ranges.index(name) + 2, float(q)))
            except ValueError:
                continue
        return best[1]

    return quality("image/png") > quality("application/json")
