"""Two versions on the same live posts, so that a change of the posts is no difference between
them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from covla.arrays import Array, FloatArray
from covla.inference.latency import time_models
from covla.inference.predictor import Predictor, Result
from covla.posts.training_post import TrainingPost
from covla.schemas.prediction import Prediction

TIMED = 32  # posts


@dataclass(frozen=True)
class Answers:
    """Of one version on n posts, in order; nan or None where a post failed."""

    version: str
    y_pred: list[str | None]
    confidence: FloatArray  # n: the largest probability
    text_weight: FloatArray  # n; nan too where a post has one modality alone
    latency_ms: float  # per post

    @property
    def failed(self) -> Array:
        """n booleans."""
        return np.array([label is None for label in self.y_pred])


@dataclass(frozen=True)
class Comparison:
    """n live posts, the labels that came (None elsewhere), and what both versions answer now."""

    y_true: list[str | None]
    new: Answers
    previous: Answers

    def correct(self, answers: Answers) -> Array:
        """Whether the labelled posts are right, in order; a post that failed is wrong."""
        pairs = zip(self.y_true, answers.y_pred, strict=True)
        return np.array([label == found for label, found in pairs if label is not None], bool)


def compare(new: Predictor, previous: Predictor, posts: Sequence[TrainingPost]) -> Comparison:
    """Predict n posts with both, and take the time of both in turns.

    Raises:
        ServiceUnavailable: the machine or the blob store fails: no version is to blame.
    """
    items = [row.post for row in posts]
    models = (new, previous)
    results = [model.predict(items) for model in models]
    times = time_models(models, items[:TIMED])
    made = [
        _answers(model.version, result, time_ms)
        for model, result, time_ms in zip(models, results, times, strict=True)
    ]
    return Comparison([row.label for row in posts], made[0], made[1])


def _answers(version: str, results: Sequence[Result], latency_ms: float) -> Answers:
    made = [one if isinstance(one, Prediction) else None for one in results]
    return Answers(
        version,
        [one.label if one else None for one in made],
        np.array([max(one.probabilities.values()) if one else np.nan for one in made]),
        np.array([one.gate if one and len(one.modalities) == 2 else np.nan for one in made]),
        latency_ms,
    )
