"""What the gate measures: several models on the same posts, clean and at every noise level."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from covla.arrays import Array
from covla.errors import CovlaError, PostError
from covla.inference.cache import EncodedCache
from covla.inference.latency import time_models
from covla.inference.predictor import Predictor
from covla.metrics import ece
from covla.posts import corruptions
from covla.posts.corrupted_post import corrupt_all
from covla.posts.training_post import TrainingPost

CHUNK = 32
LEVELS = tuple(level for level in corruptions.LEVELS if level > 0)
CONDITIONS = ("clean", *(f"{side} {level:.0%}" for side in ("text", "image") for level in LEVELS))


@dataclass
class Measured:
    """One model on n posts: per condition the predicted class (n), -1 where the post failed, and
    the probabilities (n x C) on clean posts; milliseconds per post as a caller sees them; MiB of
    its files."""

    predicted: dict[str, list[int]] = field(default_factory=lambda: {c: [] for c in CONDITIONS})
    probabilities: list[list[float]] = field(default_factory=list)
    latency_ms: float = 0.0
    size_mb: float = 0.0


def measure(
    models: Sequence[Predictor],
    posts: Sequence[TrainingPost],
    *,
    seed: int = 0,
    progress: Callable[[int], None] = lambda done: None,
) -> list[Measured]:
    """Every model on the same posts and the same noise. Models with equal towers share them.

    Raises:
        CovlaError: two models have different labels.
    """
    if len({tuple(model.labels) for model in models}) > 1:
        raise CovlaError(
            "the models do not have the same labels",
            hint="Train on the champion's taxonomy, or promote with --force and without posts",
        )
    results = [Measured() for _ in models]
    for start in range(0, len(posts), CHUNK):
        rows = posts[start : start + CHUNK]
        prepared = [models[0].prepare(row.post) for row in rows]
        for result in results:
            result.probabilities += [[]] * len(rows)
            for predicted in result.predicted.values():
                predicted.extend([-1] * len(rows))
        good = [i for i, item in enumerate(prepared) if not isinstance(item, PostError)]
        items = [item for item in prepared if not isinstance(item, PostError)]
        caches = {model.encoders.id: EncodedCache() for model in models}
        for condition in CONDITIONS if items else ():
            noisy = items
            if condition != "clean":
                side, level = condition.split()
                noisy = corrupt_all(items, side, float(level.rstrip("%")) / 100, seed)
            for model, result in zip(models, results, strict=True):
                encoded = model.encode(noisy, caches[model.encoders.id])
                answers = model.answer(noisy, encoded, [rows[i].priors for i in good])
                for i, answer in zip(good, answers, strict=True):
                    result.predicted[condition][start + i] = model.labels.index(answer.label)
                    if condition == "clean":
                        shares = list(answer.probabilities.values())
                        result.probabilities[start + i] = shares
        progress(len(rows))
    times = time_models(models, [row.post for row in posts[:CHUNK]])
    for model, result, time_ms in zip(models, results, times, strict=True):
        result.latency_ms, result.size_mb = time_ms, model.size / 2**20
    return results


def calibration_error(probabilities: Sequence[Sequence[float]], truth: Array) -> float:
    """ECE; posts that failed (no probabilities) are left out. 1 when all did."""
    known = [i for i, row in enumerate(probabilities) if row]
    if not known:
        return 1.0
    return ece(np.asarray([probabilities[i] for i in known]), truth[known])
