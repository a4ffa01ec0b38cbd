"""Training posts to tensors: prepared, encoded once."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from covla.arrays import Array, FloatArray
from covla.errors import CovlaError, PostError
from covla.model.configuration import CovlaConfig
from covla.model.context import context_of
from covla.model.encoders import Encoders, pixels
from covla.model.modeling import Covla
from covla.model.pooling_torch import Features
from covla.posts.image_store import BlobStore
from covla.posts.preprocessing import PreparedPost, prepare
from covla.posts.taxonomy import Taxonomy
from covla.posts.training_post import TrainingPost
from covla.settings import Settings
from covla.training.feature_cache import FeatureCache

Progress = Callable[[str, int, int], None]


@dataclass
class Example:
    """One post as tensors; `None` where a modality is missing.

    Features (tokens T x d_T, regions R x d_V or reduced, fp16), or raw inputs (ids T, pixels
    3 x S x S) for towers that are trained.
    """

    context: Tensor
    context_mask: Tensor
    label: int = -100
    teacher: Tensor | None = None
    label_logits: Tensor | None = None  # of the label nodes, 3 x C; None: they are computed
    tokens: Tensor | None = None
    regions: Tensor | None = None
    ids: Tensor | None = None
    pixels: Tensor | None = None


@dataclass
class PreparedDataset:
    """Posts that can be used, what is known of each, their label indices (-1: none) and how many
    posts could not be used. `copies` are noisy ones of posts, with the index of each one's post;
    they have its split, its label and its teacher."""

    posts: list[TrainingPost]
    prepared: list[PreparedPost]
    labels: Tensor
    skipped: int
    copies: list[PreparedPost] = field(default_factory=list)
    origin: list[int] = field(default_factory=list)

    @property
    def train_mask(self) -> Tensor:
        """n, true for posts that train (holdout posts never do)."""
        return torch.tensor([row.split == "train" for row in self.posts])

    @property
    def trains(self) -> list[int]:
        """Indices of the posts that train."""
        rows: list[int] = torch.nonzero(self.train_mask).flatten().tolist()
        return rows

    @property
    def holdout(self) -> list[int]:
        """Indices of the labelled posts that do not train."""
        rows: list[int] = torch.nonzero(~self.train_mask & (self.labels >= 0)).flatten().tolist()
        return rows

    @property
    def teacher_labels(self) -> Tensor:
        """n label indices, -1 where a teacher may not learn the label."""
        return torch.where(self.train_mask, self.labels, -1)

    @property
    def groups(self) -> Tensor:
        """n numbers: posts with the same one share their content."""
        names: dict[str, int] = {}
        found = [names.setdefault(row.group or row.post_id, len(names)) for row in self.posts]
        return torch.tensor(found)

    def all_rows(self) -> "PreparedDataset":
        """The posts, and the copies as posts after them; no copies beside them."""
        return PreparedDataset(
            [*self.posts, *(self.posts[i] for i in self.origin)],
            [*self.prepared, *self.copies],
            torch.cat([self.labels, self.labels[self.origin]]),
            self.skipped,
        )

    def part(self, rows: list[int]) -> "PreparedDataset":
        """The posts of these indices, without copies."""
        posts, prepared = [self.posts[i] for i in rows], [self.prepared[i] for i in rows]
        return PreparedDataset(posts, prepared, self.labels[rows], self.skipped)

    def without_copies(self) -> "PreparedDataset":
        """The posts alone."""
        return replace(self, copies=[], origin=[])


def prepare_posts(
    posts: list[TrainingPost], taxonomy: Taxonomy, settings: Settings, progress: Progress
) -> PreparedDataset:
    """Decode and measure every post; a post whose image is broken is left out and counted.

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
    return PreparedDataset(kept, prepared, labels, len(posts) - len(kept))


def encode(
    data: PreparedDataset, encoders: Encoders, settings: Settings, progress: Progress
) -> list[Features]:
    """Tokens and regions of every post and then of every copy, from the cache or the towers."""
    cache = FeatureCache(settings.cache / "features", encoders.id)
    items = data.prepared + data.copies
    return cache.features(items, encoders.encode, counter("encode", len(items), progress))


def counter(name: str, total: int, progress: Progress) -> Callable[[int], None]:
    """Steps to what a progress bar takes: how many are done, of how many."""
    done = 0

    def step(more: int) -> None:
        nonlocal done
        done += more
        progress(name, done, total)

    return step


def set_context_statistics(model: Covla, nodes: FloatArray, mask: Array) -> None:
    """Mean and standard deviation of each context node over the training posts that have it."""
    for k in range(nodes.shape[1]):
        rows = nodes[mask[:, k], k]
        if len(rows) > 1:
            model.context.mean[k] = torch.from_numpy(rows.mean(0))
            model.context.std[k] = torch.from_numpy(np.maximum(rows.std(0), 1e-3))


def make_examples(
    data: PreparedDataset,
    config: CovlaConfig,
    vectors: FloatArray | None,
    features: list[Features] | None,
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
