"""A teacher is asked about many posts: each content once, in batches, kept as it goes."""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, Protocol

import numpy as np
import torch

from covla.arrays import FloatArray
from covla.errors import CovlaError
from covla.model.runtime.device import pick_device
from covla.posts.preprocessing import PreparedPost
from covla.posts.training_post import TrainingPost
from covla.settings import Settings
from covla.training.feature_cache import SHARD
from covla.training.teachers import self_teacher
from covla.training.teachers.cache import VectorCache
from covla.training.teachers.resolve import Teacher

KEEP_POSTS, KEEP_SECONDS = 256, 5.0  # answers are on disk by whichever comes first
BATCH = {"cpu": 4, "cuda": 16, "self": SHARD}


class Reader(Protocol):
    """A loaded teacher."""

    def read(self, items: Sequence[Any]) -> FloatArray:
        """n x width, in order."""


def load(teacher: Teacher, settings: Settings) -> Reader:
    """The teacher's weights, ready to read."""
    if teacher.kind == "self":
        return self_teacher.SelfTeacher(teacher, settings)
    if teacher.kind == "dual_encoder":
        from covla.training.teachers.dual_encoder import DualEncoder

        return DualEncoder(teacher, settings)
    from covla.training.teachers.vision_language import VisionLanguage

    return VisionLanguage(teacher, settings)


def _questions(
    teacher: Teacher, posts: Sequence[TrainingPost], prepared: Sequence[PreparedPost]
) -> list[tuple[str, Any] | None]:
    if teacher.kind == "self":
        return list(self_teacher.asked(teacher, posts, prepared))
    return [
        (hashlib.sha256(f"{item.text_hash}\0{item.image_hash}".encode()).hexdigest(), item)
        for item in prepared
    ]


def _alike(item: Any) -> tuple[bool, bool, int]:
    """Batches have one set of modalities, and texts of like length: little padding."""
    post: PreparedPost = item[0] if isinstance(item, tuple) else item
    return post.image is None, not post.text, len(post.text)


def ask(
    teacher: Teacher,
    posts: Sequence[TrainingPost],
    prepared: Sequence[PreparedPost],
    settings: Settings,
    *,
    batch: int | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> FloatArray:
    """A vector per post, n x width; NaN rows where the teacher abstains.

    What was answered before is read from the cache; when nothing else is asked, the model is not
    loaded. Memory holds one batch of images, and a run that is killed goes on after its last
    shard.

    Args:
        batch: posts at a time; default 4 on a CPU, 16 on a GPU.
        progress: called with how many posts more are done.

    Raises:
        CovlaError: the model cannot be loaded, does not fit in memory, or does not answer with
            numbers.
    """
    if batch is not None and batch < 1:
        raise CovlaError(f"batch: {batch} is less than 1")
    questions = _questions(teacher, posts, prepared)
    cache = VectorCache(settings.cache / "teacher", teacher.id, teacher.width)
    missing: dict[str, Any] = {}
    for pair in questions:
        if pair is not None and not cache.has(pair[0]):
            missing.setdefault(*pair)
    waiting = Counter(pair[0] for pair in questions if pair is not None and pair[0] in missing)
    progress(len(questions) - waiting.total())
    if missing:
        size = batch or BATCH["self" if teacher.kind == "self" else pick_device(settings.device)]
        batches = _batches(missing, size)
        _answer(
            load(teacher, settings), teacher, missing, batches, cache,
            lambda keys: progress(sum(waiting[key] for key in keys)),
        )  # fmt: skip
    vectors = np.full((len(questions), teacher.width), np.nan, np.float32)
    for i, pair in enumerate(questions):
        if pair is not None:
            vectors[i] = cache.vector(pair[0])
    return vectors


def _batches(missing: dict[str, Any], size: int) -> list[list[str]]:
    batches: list[list[str]] = []
    ordered = sorted(missing, key=lambda key: (_alike(missing[key]), key))
    for _, same in groupby(ordered, lambda key: _alike(missing[key])[:2]):
        keys = list(same)
        batches += [keys[i : i + size] for i in range(0, len(keys), size)]
    return batches


def _answer(
    reader: Reader,
    teacher: Teacher,
    missing: dict[str, Any],
    batches: list[list[str]],
    cache: VectorCache,
    progress: Callable[[list[str]], None],
) -> None:
    rows: dict[str, FloatArray] = {}
    since = time.monotonic()
    try:
        for keys in batches:
            vectors = _read(reader, teacher, [missing[key] for key in keys])
            rows |= dict(zip(keys, vectors, strict=True))
            if len(rows) >= KEEP_POSTS or time.monotonic() - since >= KEEP_SECONDS:
                cache.keep(rows)
                rows, since = {}, time.monotonic()
            progress(keys)
    finally:
        cache.keep(rows)


def _read(reader: Reader, teacher: Teacher, items: list[Any]) -> FloatArray:
    try:
        vectors = reader.read(items)
    except torch.OutOfMemoryError as error:
        raise CovlaError(
            f"teacher: {teacher.name} with {len(items)} posts at a time does not fit in memory",
            hint="Give a smaller --batch",
        ) from error
    if vectors.shape[1] != teacher.width:
        raise CovlaError(
            f"teacher: {teacher.name} answers {vectors.shape[1]} numbers a post; its configuration "
            f"says {teacher.width}"
        )
    # NaN is a missing side of a dual encoder; fp16, in which answers are kept, ends at 65504.
    wrong = (np.abs(vectors) > np.finfo(np.float16).max).any() or np.isnan(vectors).all(1).any()
    if wrong or (teacher.kind != "dual_encoder" and np.isnan(vectors).any()):
        raise CovlaError(f"teacher: {teacher.name} does not answer with numbers")
    return vectors
