"""Milliseconds per post of models that are measured against each other."""

import time
from collections.abc import Sequence

from covla.inference.predictor import Predictor
from covla.schemas.post import SocialPost


def time_models(models: Sequence[Predictor], posts: Sequence[SocialPost]) -> list[float]:
    """Milliseconds per post of each model through `predict`, the best of three runs.

    In turns, so that another process on this machine slows all down, and with nothing remembered.
    """
    seen: list[list[float]] = [[] for _ in models]
    for _ in range(3):
        for model, times in zip(models, seen, strict=True):
            model.clear_cache()
            started = time.perf_counter()
            model.predict(posts)
            times.append((time.perf_counter() - started) * 1000 / len(posts))
    return [min(times) for times in seen]
