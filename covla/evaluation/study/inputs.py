"""What every row of a study shares, computed once: prepared posts, features, noisy posts."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor

from covla.evaluation.study.posts import StudyPosts, with_unlabelled
from covla.evaluation.study.study_teacher import StudyTeacher
from covla.evaluation.study.variants import Variant
from covla.model.encoders import Encoders, pixels
from covla.model.pooling_torch import Features
from covla.model.towers import load_towers, read_preset
from covla.posts.corrupted_post import corrupt_all
from covla.posts.corruptions import IMAGE_KINDS, LEVELS, TEXT_KINDS
from covla.posts.preprocessing import PreparedPost
from covla.posts.taxonomy import Taxonomy
from covla.settings import Settings
from covla.training.augmentation import with_copies
from covla.training.dataset import PreparedDataset, Progress, encode, prepare_posts
from covla.training.feature_cache import IMAGE, FeatureCache
from covla.training.fit import TowerShape
from covla.training.pca import Reduction
from covla.training.teachers.resolve import Teacher

NOISE_SEED = 0
CONDITIONS = tuple(
    (side, kind, level)
    for side, kinds in (("text", TEXT_KINDS), ("image", IMAGE_KINDS))
    for kind in kinds
    for level in LEVELS
    if level > 0
)


def condition_name(side: str, kind: str, level: float) -> str:
    """`text:swap 30%`."""
    return f"{side}:{kind} {level:.0%}"


@dataclass
class Inputs:
    """Plain data that a process of its own can be given; features are read from the caches.

    train: with all posts without a label that any row wants; `usual` has as many as the study asks
    for. noisy: per condition, the judged posts with that noise, in order. caches: feature caches
    (folder, encoder id), asked in turn. Images are left out, but for `tiny`, whose towers train.
    """

    train: PreparedDataset
    judged: PreparedDataset
    shape: TowerShape
    taxonomy: Taxonomy
    caches: list[tuple[Path, str]]
    digest: str
    unlabelled: int | None = None
    device: str = "auto"
    noisy: dict[str, list[PreparedPost]] = field(default_factory=dict)

    @property
    def usual(self) -> PreparedDataset:
        """The training posts of rows that do not ask for every post."""
        return with_unlabelled(self.train, self.unlabelled)

    @cached_property
    def _open(self) -> list[FeatureCache]:
        return [FeatureCache(folder, encoder) for folder, encoder in self.caches]

    @cached_property
    def reduction(self) -> Reduction:
        """Of this process: what one row reduced, the next takes up."""
        return Reduction()

    def __getstate__(self) -> dict[str, Any]:
        own = {"_open", "reduction"}
        return {name: value for name, value in self.__dict__.items() if name not in own}

    def features(self, items: Sequence[PreparedPost]) -> list[Features]:
        """Tokens and regions per post, mapped from the caches' files."""

        def find(prefix: str, key: str) -> Tensor | None:
            if not key:
                return None
            found = (cache.get(f"{prefix}.{key}") for cache in self._open)
            return next(tensor for tensor in found if tensor is not None)

        return [(find("t", item.text_hash), find(IMAGE, item.image_hash)) for item in items]


def gather(
    posts: StudyPosts,
    rows: list[Variant],
    preset: str,
    taxonomy: Taxonomy,
    settings: Settings,
    work: Path,
    *,
    noise: bool,
    teacher: Teacher,
    copies: int,
    unlabelled: int | None,
    progress: Progress,
) -> tuple[Inputs, Encoders, StudyTeacher]:
    """Prepare and encode every post, and the noisy ones of every kind and level, once.

    Args:
        teacher: NO_TEACHER when no row that is still to be fitted needs one.
        copies: noisy ones of every post that trains.
        unlabelled: how many posts without a label rows learn from; None for all.
        work: the noisy posts' features are kept in `work`/features.

    Raises:
        CovlaError: no post can be used, or there are no such towers.
    """
    towers, tokenizer = load_towers(preset)
    shape = TowerShape.of(towers.eval())
    encoders = Encoders(towers, tokenizer, cache=settings.cache, device=settings.device)
    both = prepare_posts([*posts.train, *posts.judged], taxonomy, settings, progress)
    encode(both, encoders, settings, progress)
    judged_ids = {row.post_id for row in posts.judged}
    is_judged = [row.post_id in judged_ids for row in both.posts]
    teaching = StudyTeacher.of(teacher, both, is_judged, encoders, taxonomy, settings, progress)
    train = both.part([i for i, last in enumerate(is_judged) if not last])
    copied = with_copies(with_unlabelled(train, unlabelled), copies)
    encode(copied, encoders, settings, progress)
    train = replace(train, copies=copied.copies, origin=copied.origin)
    judged = both.part([i for i, last in enumerate(is_judged) if last])
    clean = settings.cache / "features"
    inputs = Inputs(
        train, judged, shape, taxonomy, [(clean, encoders.id)], f"{posts.digest}{encoders.id}",
        unlabelled, settings.device,
    )  # fmt: skip
    if noise:
        inputs.caches.append((work / "features", encoders.id))
        inputs.noisy = _noisy(judged.prepared, encoders, inputs.caches, progress)
    tiny = any(row.preset == "tiny" for row in rows)
    keep = read_preset("tiny")["image"]["size"] if tiny else None
    for part in (train, judged):
        part.prepared = [light(item, keep) for item in part.prepared]
        part.copies = [light(item, keep) for item in part.copies]
        part.posts = [
            replace(row, post=row.post.model_copy(update={"image": None})) for row in part.posts
        ]
    return inputs, encoders, teaching


def light(item: PreparedPost, side: int | None = None) -> PreparedPost:
    """Without the image, or with `side` x `side` pixels of it, as a tower of that size sees it;
    hashes and measures stay those of the whole."""
    image = None
    if side is not None and item.image is not None:
        image = pixels(item.image, side).transpose(1, 2, 0)
    post = item.post.model_copy(update={"image": None})
    return replace(item, image=image, image_bytes=None, post=post)


def _noisy(
    items: list[PreparedPost],
    encoders: Encoders,
    caches: list[tuple[Path, str]],
    progress: Progress,
) -> dict[str, list[PreparedPost]]:
    """Per condition the noisy posts without images; what no cache has is encoded now."""
    clean, noisy = (FeatureCache(folder, encoder) for folder, encoder in caches)
    result = {}
    for done, (side, kind, level) in enumerate(CONDITIONS, 1):
        changed = corrupt_all(items, side, level, NOISE_SEED, kind)
        noisy.features([_unknown(item, clean) for item in changed], encoders.encode)
        result[condition_name(side, kind, level)] = [light(item) for item in changed]
        progress("noise", done, len(CONDITIONS))
    return result


def _unknown(item: PreparedPost, clean: FeatureCache) -> PreparedPost:
    """`item` with the modalities alone that `clean` does not have."""
    if item.text_hash and clean.get(f"t.{item.text_hash}") is not None:
        item = replace(item, text="", text_hash="")
    if item.image_hash and clean.get(f"{IMAGE}.{item.image_hash}") is not None:
        item = replace(item, image=None, image_hash="")
    return item
