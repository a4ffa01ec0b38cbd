"""Teacher vectors of training posts, raw and standardised."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from covla.arrays import Array, FloatArray
from covla.errors import CovlaError
from covla.files import write_aside
from covla.model.encoders import Encoders
from covla.model.pooling_torch import pool_posts
from covla.posts.preprocessing import PreparedPost
from covla.posts.taxonomy import Taxonomy
from covla.posts.training_post import TrainingPost
from covla.settings import Settings
from covla.training.dataset import PreparedDataset, Progress, counter, encode
from covla.training.teachers.embeddings import ask
from covla.training.teachers.ensemble import VERSION, Pooled, ensemble, lite2
from covla.training.teachers.resolve import Teacher


def ensemble_preset(preset: str) -> str:
    """Whose encoders an ensemble for a student of `preset` is made of: a student whose towers train
    with it has no features of its own to teach from."""
    return "base" if preset == "tiny" else preset


def standardise(vectors: FloatArray, known: Array) -> FloatArray:
    """Zero mean and unit variance per dimension, over the rows that `known` marks.

    Equation: docs/model.md, section 11.

    A row of NaN stays one: the teacher abstains. Where a row has numbers and NaN (a dual encoder
    on a post with one modality), NaN becomes the mean, 0. An infinite number counts as NaN.
    """
    # In float64, where the squares of large numbers are numbers too.
    vectors = np.where(np.isfinite(vectors), vectors, np.float32(np.nan)).astype(np.float64)
    seen = np.ma.masked_invalid(vectors[known])
    mean = np.ma.filled(seen.mean(0), 0.0)
    std = np.maximum(np.ma.filled(seen.std(0), 1.0), 1e-6)
    scaled = np.asarray((vectors - mean) / std, np.float32)
    missing = np.isnan(scaled)
    return np.where(missing & ~missing.all(1, keepdims=True), np.float32(0), scaled)


def ensemble_id(
    posts: list[TrainingPost],
    prepared: list[PreparedPost],
    encoder: str,
    labels: list[str],
    seed: int,
) -> str:
    """Identity of an ensemble's vectors: its version, its posts and their labels, the seed."""
    total = hashlib.sha256(repr([VERSION, encoder, labels, seed]).encode())
    for row, item in zip(posts, prepared, strict=True):
        label = row.label if row.split == "train" else None
        about = row.post_id, item.text_hash, item.image_hash, label, row.group
        total.update(("\0".join(map(str, about)) + "\n").encode())
    return f"ensemble-{total.hexdigest()[:16]}"


def ensemble_vectors(
    data: PreparedDataset,
    encoders: Encoders,
    taxonomy: Taxonomy,
    settings: Settings,
    seed: int,
    progress: Progress,
) -> tuple[FloatArray, str]:
    """The ensemble's vectors, n x width, and their identity; trained once per set of posts, labels
    and seed."""
    name = ensemble_id(data.posts, data.prepared, encoders.id, taxonomy.names, seed)
    path = settings.cache / "teacher" / f"{name}.safetensors"
    found = _load(path)
    if found is not None:
        return found, name
    features = encode(data.without_copies(), encoders, settings, progress)
    text, image = pool_posts(features, (encoders.text_width, encoders.image_width))
    more = lite2(data.prepared, settings, counter("teacher", len(data.posts), progress))
    seen = Pooled(text, [image, more], data.teacher_labels, len(taxonomy.names), data.groups)
    vectors = ensemble(seen, seed)
    with write_aside(path) as draft:
        save_file({"vectors": torch.from_numpy(vectors)}, draft, {"sha256": _checksum(vectors)})
    return vectors, name


def _checksum(vectors: FloatArray) -> str:
    return hashlib.sha256(np.ascontiguousarray(vectors).tobytes()).hexdigest()


def _load(path: Path) -> FloatArray | None:
    """What is stored; None when nothing is, or when it is damaged, and then it is deleted."""
    try:
        with safe_open(path, framework="pt") as file:
            vectors: FloatArray = file.get_tensor("vectors").numpy()
            if (file.metadata() or {}).get("sha256") == _checksum(vectors):
                return vectors
    except FileNotFoundError:
        return None
    except (OSError, SafetensorError):
        pass
    path.unlink(missing_ok=True)
    return None


def _own(teacher: Teacher, row: TrainingPost) -> FloatArray | None:
    """The vector that came with a post, if it is this teacher's."""
    if row.teacher is None or row.teacher_id is None or row.teacher_id == teacher.id:
        return row.teacher
    ensembles = teacher.kind == "ensemble" and row.teacher_id.startswith("ensemble-")
    return row.teacher if ensembles else None


def check_teacher(teacher: Teacher, posts: Sequence[TrainingPost]) -> None:
    """Hold a teacher against the posts before any long work.

    Raises:
        CovlaError: the vectors that came with the posts have other widths, or the teacher
            abstains from all posts that train.
    """
    if teacher.kind == "none":
        return
    width = teacher.width
    for row in posts:
        vector = _own(teacher, row)
        if vector is None:
            continue
        width = width or len(vector)
        if len(vector) != width:
            raise CovlaError(
                f"teacher: the stored vector of post {row.post_id} is {len(vector)} wide, "
                f"{teacher.name} says {width}",
                hint="Ask the teacher about these posts again: covla teach --window ...",
            )
    if teacher.kind == "self" and all(r.label is not None for r in posts if r.split == "train"):
        raise CovlaError(
            f"teacher: {teacher.name} only speaks about posts without a label, and there is none",
            hint="Add posts without a label, or give --teacher ensemble",
        )


def teacher_vectors(
    teacher: Teacher,
    data: PreparedDataset,
    encoders: Encoders,
    taxonomy: Taxonomy,
    settings: Settings,
    seed: int,
    progress: Progress,
) -> FloatArray | None:
    """Standardised teacher vectors, n x width; NaN rows where the teacher abstains.

    Vectors that came with the posts are used where they are this teacher's; about the others it
    is asked now. An ensemble is not asked about single posts: its stored vectors are used when
    all that are there are an ensemble's, else it is trained on all posts now. None for "none".

    Raises:
        CovlaError: as `check_teacher`, or the teacher abstains about all posts that train.
    """
    if teacher.kind == "none":
        return None
    check_teacher(teacher, data.posts)
    own = [_own(teacher, row) for row in data.posts]
    came = [row.teacher is not None for row in data.posts]
    learns = data.train_mask.numpy()
    if teacher.kind == "ensemble":
        if any(came) and all(v is not None for v, c in zip(own, came, strict=True) if c):
            vectors = _filled(own)
        else:
            vectors, _ = ensemble_vectors(data, encoders, taxonomy, settings, seed, progress)
    else:
        vectors = _filled(own, teacher.width)
        wanted = [i for i, v in enumerate(own) if v is None and learns[i]]
        part, step = data.part(wanted), counter("teacher", len(wanted), progress)
        vectors[wanted] = ask(teacher, part.posts, part.prepared, settings, progress=step)
    known = ~np.isnan(vectors).all(1) & learns
    if not known.any():
        raise CovlaError(
            f"teacher: {teacher.name} says nothing about any post that trains",
            hint="Ask it first with `covla teach`, or give --teacher none",
        )
    return standardise(vectors, known)


def _filled(rows: list[FloatArray | None], width: int = 0) -> FloatArray:
    width = width or next(len(row) for row in rows if row is not None)
    vectors = np.full((len(rows), width), np.nan, np.float32)
    for i, row in enumerate(rows):
        if row is not None:
            vectors[i] = row
    return vectors
