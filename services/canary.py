"""The canary: a version that answers a share of the posts, always the same ones (ADR 33).

A canary that fails costs no post its prediction: the champion answers in its place, which is
counted and logged.
"""

import hashlib
import logging
import time
from collections.abc import Sequence
from datetime import datetime

from covla.errors import DeviceFailed, PostError
from covla.schemas.post import SocialPost
from covla.schemas.prediction import Prediction
from services.model import Model
from services.rollout_metrics import FALLBACKS

PAUSE_SECONDS = 60.0  # without posts after a failure

log = logging.getLogger(__name__)


def place_of(post_id: str) -> float:
    """Where a post lies in [0, 1): evenly, and the same in every process and for every canary.

    Those below the weight are the canary's, so a larger weight takes posts from the champion and
    gives none back.
    """
    digest = hashlib.sha256(b"canary\0" + post_id.encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / 2**53  # exact in a double, so below 1


class Canary:
    """A model and its share of the posts, `weight` from 0 to 1. Safe in several threads."""

    def __init__(self, model: Model, weight: float) -> None:
        self.model = model
        self.weight = weight
        self._paused_until = 0.0

    def has(self, post: SocialPost) -> bool:
        """Whether the post is the canary's."""
        return place_of(post.post_id) < self.weight

    @property
    def paused(self) -> bool:
        """Whether it failed in the last minute."""
        return time.monotonic() < self._paused_until

    def predict(self, posts: Sequence[SocialPost]) -> list[Prediction | None]:
        """A prediction for each post, in order, or None where the champion has to answer: for all
        of them when the canary fails, and for a minute after that."""
        if not posts:
            return []
        if self.paused:
            FALLBACKS.labels("paused").inc(len(posts))
            return [None] * len(posts)
        try:
            results = self.model.predict(posts)
        except DeviceFailed:
            raise  # it is the champion's too
        except Exception:  # noqa: BLE001  (logged; the champion answers)
            self.failed(len(posts))
            return [None] * len(posts)
        given = [one if isinstance(one, Prediction) else None for one in results]
        FALLBACKS.labels("refused").inc(given.count(None))
        return given

    def failed(self, posts: int) -> None:
        """It could not answer so many posts; called where the exception is handled."""
        self._paused_until = time.monotonic() + PAUSE_SECONDS
        FALLBACKS.labels("failed").inc(posts)
        log.exception(
            "the canary, version %s, fails: the champion answers its posts for %.0f s",
            self.model.version,
            PAUSE_SECONDS,
        )


class Routed:
    """Champion and canary as one model; its version is the champion's. Each prediction says by
    which of both it is."""

    def __init__(self, champion: Model, canary: Canary) -> None:
        self.champion = champion
        self.canary = canary

    @property
    def version(self) -> str:
        """The champion's."""
        return self.champion.version

    @property
    def ready_since(self) -> datetime:
        """The champion's."""
        return self.champion.ready_since

    def predict(self, items: Sequence[SocialPost]) -> list[Prediction | PostError]:
        """One prediction or one error per post, in order; what the canary cannot answer is the
        champion's.

        Raises:
            ServiceUnavailable: the champion fails.
        """
        theirs = [i for i, post in enumerate(items) if self.canary.has(post)]
        given = dict(zip(theirs, self.canary.predict([items[i] for i in theirs]), strict=True))
        rest = [i for i in range(len(items)) if given.get(i) is None]
        others = self.champion.predict([items[i] for i in rest]) if rest else []
        answers = dict(zip(rest, others, strict=True))
        return [given.get(i) or answers[i] for i in range(len(items))]
