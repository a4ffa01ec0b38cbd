"""A model version -> predictions. REST, stream, backfill, the gate and evaluation all call this."""

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np

from covla.errors import CovlaError, PostError, ServiceUnavailable
from covla.inference.cache import EncodedCache, Side
from covla.inference.prediction import prediction
from covla.inference.preparation import INTERNAL, Preparation, internal, prepare_one
from covla.inference.shared_encoders import shared_encoders
from covla.inference.shared_preparation import shared_preparation
from covla.model.context import Context, context_of
from covla.model.encoders import Encoded, Encoders
from covla.model.head import HeadRunner
from covla.model.runtime.backend import Backend
from covla.model.runtime.device import pick_device
from covla.posts.hashtag_prior import HashtagPrior
from covla.posts.image_store import BlobStore
from covla.posts.preprocessing import PreparedPost, prepare
from covla.posts.probe import probe_post
from covla.registry.model_folder import folder_size
from covla.registry.registry import Registry
from covla.schemas.post import SocialPost
from covla.schemas.prediction import Prediction
from covla.settings import Settings
from covla.times import now

# What is known of a post's hashtags; None where it could not be looked up in time.
Priors = Mapping[str, HashtagPrior] | None
Result = Prediction | PostError
Stored = tuple[str, Path]  # a version and its model folder
ContextSource = Callable[[Sequence[PreparedPost]], Sequence[Priors]]

CHUNK = 64  # posts that are encoded while the next ones are prepared

log = logging.getLogger(__name__)


class Predictor:
    """One model version, ready. Never changes; safe to call from several threads."""

    def __init__(
        self,
        version: str,
        head: HeadRunner,
        encoders: Encoders,
        settings: Settings,
        context: ContextSource | None = None,
        size: int = 0,
    ) -> None:
        self.version = version
        self.ready_since = now()  # of a version that serves: when it was warm, just before it does
        self.size = size  # of the model folder, in bytes
        self.labels: list[str] = head.config.labels
        self.encoders = encoders
        self.head = head
        self._settings = settings
        self._context = context
        self._blobs = BlobStore(settings)
        self._cache = EncodedCache()

    @classmethod
    def load(
        cls, ref: str | Path | Stored, settings: Settings, context: ContextSource | None = None
    ) -> "Predictor":
        """Load a verified model folder.

        Args:
            ref: an alias, a version number, a model folder, or a version and its folder.
            settings: limits, and where blobs and caches are.
            context: what is known of the posts' hashtags; None for a post flags it `stale_context`.

        Raises:
            CovlaError: there is no such model, its files do not match their manifest, or its
                networks were never converted and torch is not installed.
            ServiceUnavailable: the registry does not answer.
        """
        name, ref = ref if isinstance(ref, tuple) else ("", ref)
        version, folder = Registry(settings).resolve(ref)
        backend = Backend.of(folder, pick_device(settings.device))
        cache, device = settings.cache, settings.device
        head = HeadRunner.load(folder, cache=cache, device=device, backend=backend)
        encoders = shared_encoders(folder, backend, settings)
        return cls(name or version, head, encoders, settings, context, folder_size(folder))

    def clear_cache(self) -> None:
        """Forget the texts and images that were seen lately, as a measurement has to."""
        self._cache.clear()

    @cached_property
    def _preparation(self) -> Preparation:
        # Not before it is wanted: who evaluates prepares by itself.
        return shared_preparation(self._settings)

    def predict(self, items: Sequence[SocialPost]) -> list[Prediction | PostError]:
        """One prediction or one error per post, in order.

        A text or an image that was seen lately is not encoded again. A post that fails by itself
        is an error of code "internal", and only while others can be predicted.

        Raises:
            ServiceUnavailable: the engine, the memory or the blob store fails: nothing is wrong
                with the posts.
        """
        try:
            return self._predict(items)
        except MemoryError as error:
            raise ServiceUnavailable("this machine is out of memory") from error

    def _predict(self, items: Sequence[SocialPost]) -> list[Result]:
        started = time.perf_counter()
        chunks = [items[start : start + CHUNK] for start in range(0, len(items), CHUNK)]
        # Two chunks ahead: what waits in memory is bounded whatever the length of `items`.
        ahead = deque(map(self._preparation.submit, chunks[:2]))
        results: list[Result] = []
        for position in range(len(chunks)):
            ready = ahead.popleft()()
            if position + 2 < len(chunks):
                ahead.append(self._preparation.submit(chunks[position + 2]))
            results += self._chunk(ready, started)
        return results

    def prepare(self, post: SocialPost) -> PreparedPost | PostError:
        """Check, decode and measure one post; an error is returned, not raised.

        Raises:
            ServiceUnavailable: the blob store does not answer.
            MemoryError: there is none left.
        """
        return prepare_one(post, self._settings, self._blobs)

    def check(self) -> None:
        """Predict a post that is known to be good.

        Raises:
            ServiceUnavailable: that fails, so no post is to blame.
        """
        try:
            item = prepare(probe_post(), self._settings, self._blobs)
            self.answer([item], self.encode([item]), self.look_up([item]))
        except ServiceUnavailable:
            raise
        except Exception as error:
            raise ServiceUnavailable(
                f"version {self.version} fails on every post: {type(error).__name__}: {error}",
                hint="The log has the first failure; restart where it lasts",
            ) from error

    def _chunk(self, items: list[PreparedPost | PostError], started: float) -> list[Result]:
        good = [item for item in items if not isinstance(item, PostError)]
        answers = iter(self._isolated(good, started))
        if any(isinstance(item, PostError) and item.code == INTERNAL for item in items):
            self.check()
        return [item if isinstance(item, PostError) else next(answers) for item in items]

    def _isolated(self, prepared: list[PreparedPost], started: float) -> Sequence[Result]:
        """All at once; when that fails, each alone, so that only the bad one is an error."""
        if not prepared:
            return []
        try:
            priors = self.look_up(prepared)
            encoded = self.encode(prepared, self._cache)
            return self.answer(prepared, encoded, priors, started=started)
        except (ServiceUnavailable, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001  # each is looked at alone below
            log.warning("a batch of %d posts fails: %r", len(prepared), error)
        results = [self._alone(item, started) for item in prepared]
        if all(isinstance(result, Prediction) for result in results):
            return results
        self.check()
        # Now that the engine is known to work, what fails again fails by itself.
        pairs = zip(prepared, results, strict=True)
        return [r if isinstance(r, Prediction) else self._alone(item, started) for item, r in pairs]

    def _alone(self, item: PreparedPost, started: float) -> Result:
        try:
            encoded = self.encode([item], self._cache)
            return self.answer([item], encoded, self.look_up([item]), started=started)[0]
        except (ServiceUnavailable, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001  # this post's, as `_isolated` makes sure
            return internal(item.post, error)

    def look_up(self, prepared: Sequence[PreparedPost]) -> Sequence[Priors]:
        """What is known of the posts' hashtags; None where it could not be looked up in time."""
        if self._context is None or "hashtags" not in self.head.config.context_nodes:
            return [{} for _ in prepared]
        try:
            return self._context(prepared)
        except ServiceUnavailable as error:
            # The model is trained with hidden context: an answer without it beats no answer.
            log.warning("no context: %s", error)
            return [None for _ in prepared]

    def contexts(self, prepared: Sequence[PreparedPost], priors: Sequence[Priors]) -> list[Context]:
        """The context nodes of encoded posts."""
        pairs = zip(prepared, priors, strict=True)
        return [context_of(item, self.head.config, prior) for item, prior in pairs]

    def encode(
        self, prepared: Sequence[PreparedPost], cache: EncodedCache | None = None
    ) -> list[Encoded]:
        """The posts after the towers; equal texts and equal images run once."""
        cache = EncodedCache() if cache is None else cache
        found: dict[str, Encoded] = {}
        missing: dict[str, Side] = {}
        for item in prepared:
            for key, side in (
                (f"t.{item.text_hash}", Side(item.text, None)),
                (f"i.{item.image_hash}", Side("", item.image)),
            ):
                if len(key) == 2:
                    continue
                known = cache.get(key)
                if known is None:
                    missing[key] = side
                else:
                    found[key] = known
        encoded = self.encoders.encode(list(missing.values()))
        for key, value in zip(missing, encoded, strict=True):
            found[key] = value
            cache.put(key, value)
        nothing = Encoded(None, None, None, None)
        halves = (
            (found.get(f"t.{p.text_hash}", nothing), found.get(f"i.{p.image_hash}", nothing))
            for p in prepared
        )
        return [
            Encoded(t.tokens, t.text_embedding, i.regions, i.image_embedding) for t, i in halves
        ]

    def answer(
        self,
        prepared: Sequence[PreparedPost],
        encoded: Sequence[Encoded],
        priors: Sequence[Priors],
        *,
        started: float | None = None,
    ) -> list[Prediction]:
        """Run the head on encoded posts.

        `started` is `time.perf_counter()` when the work on these posts began; `latency_ms` is
        what passed since.
        """
        started = time.perf_counter() if started is None else started
        outputs = self.head.run(encoded, self.contexts(prepared, priors))
        at, latency = now(), round((time.perf_counter() - started) * 1000, 3)
        answers = []
        for item, output, prior in zip(prepared, outputs, priors, strict=True):
            if not np.isfinite([*output.probabilities, output.gate]).all():
                raise CovlaError(f"version {self.version} does not answer with numbers")
            answers.append(
                prediction(
                    item,
                    dict(zip(self.labels, map(float, output.probabilities), strict=True)),
                    output.gate,
                    version=self.version,
                    predicted_at=at,
                    latency_ms=latency,
                    stale_context=prior is None,
                )
            )
        return answers

    def warm_up(self) -> None:
        """Run a few posts through every network, as the first run of a shape compiles it, look
        their hashtags up, which opens the online store, and start what prepares posts.

        Raises:
            CovlaError: the model cannot answer.
        """
        image = np.full((64, 64, 3), 127, np.uint8)
        for words in (1, 24, 40, 100):  # a text of each length that a GPU fills up to
            post = SocialPost(post_id="warm-up", created_at=now(), text="place " * words)
            item = replace(prepare(post, self._settings, self._blobs), image=image)
            self.answer([item], self.encoders.encode([item]), self.look_up([item]))
        self._preparation.submit([])()
        self.ready_since = now()
