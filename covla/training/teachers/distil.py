"""`covla teach`: a teacher is asked about posts once, apart from any training run."""

import numpy as np

from covla.arrays import FloatArray
from covla.errors import CovlaError
from covla.model.encoders import load_encoders
from covla.posts.dataset import check_labels
from covla.posts.taxonomy import Taxonomy
from covla.posts.training_post import TrainingPost
from covla.settings import Settings
from covla.training.dataset import Progress, counter, prepare_posts
from covla.training.progress import quiet
from covla.training.teachers.embeddings import ask
from covla.training.teachers.resolve import Teacher
from covla.training.teachers.vectors import check_teacher, ensemble_preset, ensemble_vectors


def teach(
    posts: list[TrainingPost],
    teacher: Teacher,
    preset: str,
    taxonomy: Taxonomy,
    settings: Settings,
    *,
    seed: int = 0,
    batch: int | None = None,
    progress: Progress = lambda name, done, total: None,
) -> tuple[dict[str, FloatArray], str]:
    """The teacher's raw vectors (post_id -> float32) and its identity; also cached.

    A post that the teacher abstains from is left out.

    Args:
        teacher: any but "none".
        preset, seed: the encoders and the seed of an ensemble; others do not depend on them.
        batch: posts at a time, for teachers that are networks.

    Raises:
        CovlaError: bad labels, no such preset, or the teacher fails.
    """
    quiet()
    if teacher.kind == "none":
        raise CovlaError("teacher: there is nothing to teach with 'none'")
    if batch is not None and batch < 1:
        raise CovlaError(f"batch: {batch} is less than 1")
    check_teacher(teacher, posts)
    if teacher.kind == "ensemble":
        check_labels(posts, taxonomy)
        data = prepare_posts(posts, taxonomy, settings, progress)
        encoders = load_encoders(ensemble_preset(preset), settings)
        vectors, name = ensemble_vectors(data, encoders, taxonomy, settings, seed, progress)
    else:
        data = prepare_posts(posts, taxonomy, settings, progress)
        step = counter("teacher", len(data.posts), progress)
        vectors = ask(teacher, data.posts, data.prepared, settings, batch=batch, progress=step)
        name = teacher.id
    pairs = zip(data.posts, vectors, strict=True)
    return {row.post_id: vector for row, vector in pairs if not np.isnan(vector).all()}, name
