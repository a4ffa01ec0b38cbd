"""Teacher vectors of training posts, raw and standardised."""

import hashlib
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from covla.errors import CovlaError
from covla.labels import Taxonomy
from covla.model.encoders import Encoders
from covla.prepare import Prepared
from covla.settings import Settings
from covla.training.data import TrainingPost
from covla.training.examples import Prepped, Progress, encode, pooled
from covla.training.teachers.ensemble import (
    COMPONENTS,
    EPOCHS,
    FOLDS,
    HEADS,
    WIDTH,
    Pooled,
    _lite2,
    ensemble,
)

Array = np.ndarray[Any, np.dtype[np.float32]]
TEACHERS: dict[str, Callable[[Pooled, int], Array]] = {"ensemble": ensemble}


def standardise(vectors: Array, known: np.ndarray[Any, Any]) -> Array:
    """Zero mean and unit variance per dimension, over the rows that `known` marks (MODEL.md)."""
    mean = vectors[known].mean(0)
    std = np.maximum(vectors[known].std(0), 1e-6)
    return np.asarray((vectors - mean) / std, np.float32)


def teach(
    kind: str,
    prepared: list[Prepared],
    text: Tensor,
    image: Tensor,
    labels: Tensor,
    classes: int,
    settings: Settings,
    seed: int,
    progress: Callable[[int], None] = lambda done: None,
) -> Array:
    """A teacher vector per post, n x C.

    Args:
        kind: a name of `TEACHERS`.
        text, image: the student's own pooled embeddings, n x d.
        labels: n, -1 for posts that the teacher may not learn from.

    Raises:
        CovlaError: there is no such teacher.
    """
    if kind not in TEACHERS:
        raise CovlaError(f"teacher: {kind!r} is not one of {', '.join([*TEACHERS, 'none'])}")
    more = _lite2(prepared, settings, progress)
    return TEACHERS[kind](Pooled(text, [image, more], labels, classes), seed)


def teacher_id(
    kind: str,
    posts: list[TrainingPost],
    prepared: list[Prepared],
    encoder: str,
    labels: list[str],
    seed: int,
) -> str:
    """Identity of a teacher's vectors: its kind, the posts it saw, their labels, the seed."""
    about = [kind, encoder, labels, seed, FOLDS, HEADS, WIDTH, EPOCHS, COMPONENTS]
    total = hashlib.sha256(repr(about).encode())
    for row, item in zip(posts, prepared, strict=True):
        label = row.label if row.split == "train" else None
        total.update(f"{row.post_id}\0{item.text_hash}\0{item.image_hash}\0{label}\n".encode())
    return f"{kind}-{total.hexdigest()[:16]}"


def raw_teacher_vectors(
    kind: str,
    data: Prepped,
    encoders: Encoders,
    taxonomy: Taxonomy,
    settings: Settings,
    seed: int,
    progress: Progress,
) -> tuple[Array, str]:
    """The teacher's vectors, n x width, trained once per set of posts, labels and seed; its id."""
    name = teacher_id(kind, data.posts, data.prepared, encoders.id, taxonomy.names, seed)
    path = settings.cache / "teacher" / f"{name}.safetensors"
    if path.exists():
        vectors: Array = load_file(path)["vectors"].numpy()
        return vectors, name
    features = encode(data, encoders, settings, progress)
    text, image = pooled(features, (encoders.text_width, encoders.image_width))
    count = [0]

    def step(done: int) -> None:
        count[0] += done
        progress("teacher", count[0], len(data.posts))

    classes = len(taxonomy.names)
    vectors = teach(
        kind, data.prepared, text, image, data.taught_from, classes, settings, seed, step
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}.part")
    save_file({"vectors": torch.from_numpy(vectors)}, draft)
    draft.replace(path)
    return vectors, name


def teacher_vectors(
    kind: str,
    data: Prepped,
    encoders: Encoders,
    taxonomy: Taxonomy,
    settings: Settings,
    seed: int,
    progress: Progress,
) -> Array | None:
    """Standardised teacher vectors, n x width; NaN rows where the teacher is silent.

    Vectors that came with the posts are used as they are; otherwise the teacher is asked now.
    None for kind "none".
    """
    if kind == "none":
        return None
    given = [row.teacher for row in data.posts if row.teacher is not None]
    if given:
        vectors = np.full((len(data.posts), len(given[0])), np.nan, np.float32)
        for i, row in enumerate(data.posts):
            if row.teacher is not None:
                vectors[i] = row.teacher
    else:
        vectors, _ = raw_teacher_vectors(kind, data, encoders, taxonomy, settings, seed, progress)
    known = ~np.isnan(vectors).any(1) & data.learns.numpy()
    return standardise(vectors, known) if known.any() else None
