"""Training posts to tensors: prepared, encoded once, taught."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

from covla.blobs import BlobStore
from covla.errors import CovlaError, PostError
from covla.labels import Taxonomy
from covla.model.configuration import CovlaConfig
from covla.model.context import context_of
from covla.model.encoders import Encoders, pixels
from covla.model.modeling import CovlaModel
from covla.prepare import Prepared, prepare
from covla.settings import Settings
from covla.training.data import TrainingPost
from covla.training.feature_cache import FeatureCache
from covla.training.teacher import standardise, teach, teacher_id
from covla.training.trainer import Example

Array = np.ndarray[Any, np.dtype[np.float32]]
Progress = Callable[[str, int, int], None]


@dataclass
class Prepped:
    """Posts that can be used, what is known of each, their label indices (-1: none) and how many
    posts could not be used."""

    posts: list[TrainingPost]
    prepared: list[Prepared]
    labels: Tensor
    skipped: int

    @property
    def learns(self) -> Tensor:
        """n, true for posts that train (holdout posts never do)."""
        return torch.tensor([row.split == "train" for row in self.posts])

    @property
    def taught_from(self) -> Tensor:
        """n label indices, -1 where a teacher may not learn the label."""
        return torch.where(self.learns, self.labels, -1)


def prepare_posts(
    posts: list[TrainingPost], taxonomy: Taxonomy, settings: Settings, progress: Progress
) -> Prepped:
    """Decode and measure every post; a post whose picture is broken is left out and counted.

    Raises:
        CovlaError: no post can be used.
    """
    blobs = BlobStore(settings)
    kept, prepared = [], []
    for done, row in enumerate(posts, 1):
        try:
            prepared.append(prepare(row.post, settings, blobs))
        except PostError:
            continue
        finally:
            progress("prepare", done, len(posts))
        kept.append(row)
    if not kept:
        raise CovlaError("none of the posts can be used", hint="Look at one with `covla predict`")
    labels = torch.tensor([-1 if r.label is None else taxonomy.check(r.label) for r in kept])
    return Prepped(kept, prepared, labels, len(posts) - len(kept))


def pooled(features: list[tuple[Tensor | None, Tensor | None]], widths: tuple[int, int]) -> Any:
    """(n x d_T of length 1, n x d_V): means of tokens and of regions; zeros where missing."""
    sides = []
    for side, width in enumerate(widths):
        rows = [
            torch.zeros(width) if pair[side] is None else pair[side].float().mean(0)  # type: ignore[union-attr]
            for pair in features
        ]
        sides.append(torch.stack(rows))
    return F.normalize(sides[0], dim=-1), sides[1]


def encode(data: Prepped, encoders: Encoders, settings: Settings, progress: Progress) -> Any:
    """Tokens and regions of every post, from the cache or from the towers."""
    cache = FeatureCache(settings.cache / "features", encoders.id)
    count = [0]

    def step(done: int) -> None:
        count[0] += done
        progress("encode", count[0], len(data.posts))

    return cache.features(data.prepared, encoders.encode, step)


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


def set_context_statistics(model: CovlaModel, nodes: Array, mask: np.ndarray[Any, Any]) -> None:
    """Mean and standard deviation of each context node over the training posts that have it."""
    for k in range(nodes.shape[1]):
        rows = nodes[mask[:, k], k]
        if len(rows) > 1:
            model.context.mean[k] = torch.from_numpy(rows.mean(0))
            model.context.std[k] = torch.from_numpy(np.maximum(rows.std(0), 1e-3))


def make_examples(
    data: Prepped,
    config: CovlaConfig,
    vectors: Array | None,
    features: list[tuple[Tensor | None, Tensor | None]] | None,
    tokenizer: Any = None,
) -> list[Example]:
    """One example per post: of features, or of raw inputs when `features` is None."""
    examples = []
    for i, (row, item) in enumerate(zip(data.posts, data.prepared, strict=True)):
        context = context_of(item, config, row.priors)
        label = int(data.labels[i])
        example = Example(
            torch.from_numpy(context.nodes),
            torch.from_numpy(context.mask),
            label if label >= 0 else -100,
            None if vectors is None or np.isnan(vectors[i]).any() else torch.from_numpy(vectors[i]),
        )
        if features is not None:
            example.tokens, example.regions = features[i]
        else:
            spec = config.encoders
            if item.text:
                limit = spec["text"]["max_tokens"]
                ids = tokenizer(item.text, truncation=True, max_length=limit)["input_ids"]
                example.ids = torch.tensor(ids)
            if item.image is not None:
                example.pixels = torch.from_numpy(pixels(item.image, spec["image"]["size"]))
        examples.append(example)
    return examples
