"""Synthetic posts: drawn scenes and written texts with known labels. Always called synthetic.

In every post at least one modality tells the place; in more than half of them the other one fits
any place. So no single modality can be right everywhere and a model that fuses both can. Numbers
from these posts say that the system works; they say nothing of real posts.
"""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Literal

import numpy as np

from covla.errors import CovlaError
from covla.posts.corruptions import rng_for
from covla.posts.folder import FolderPost
from covla.posts.synthetic.camera import draw_image
from covla.posts.synthetic.scenes import SCENES
from covla.posts.synthetic.texts import write_text
from covla.posts.taxonomy import load_taxonomy
from covla.schemas.post import Image, SocialPost

Drift = Literal["image", "text"]
TELLS = 0.72  # how often each of the modalities tells
SINGLE = 0.03  # fraction of posts with text alone, and of those with an image alone
CONFLICT = 0.06  # of the posts with one vague modality: it hints at another place
_AUTHORS = 400


def iter_posts(
    n: int,
    seed: int,
    start: datetime,
    end: datetime,
    *,
    drift: Drift | None = None,
    labels: Sequence[str] | None = None,
    conflict: float = CONFLICT,
) -> Iterator[tuple[FolderPost, bytes | None]]:
    """As `generate`, one at a time."""
    names = list(labels) if labels is not None else load_taxonomy().names
    if unknown := sorted(set(names) - set(SCENES)):
        raise CovlaError(
            f"labels: no synthetic scene of {', '.join(unknown)}",
            hint=f"Synthetic posts can show {', '.join(SCENES)}",
        )
    if n < 0 or not names or not 0 <= conflict <= 1 or start >= end:
        raise CovlaError("synthetic: n >= 0, a label, conflict in 0..1 and start < end are needed")
    step = (end - start) / max(n, 1)
    for i in range(n):
        yield _post(i, seed, start + step * i, names, conflict, drift)


def generate(
    n: int,
    seed: int,
    start: datetime,
    end: datetime,
    *,
    drift: Drift | None = None,
    labels: Sequence[str] | None = None,
    conflict: float = CONFLICT,
) -> list[tuple[FolderPost, bytes | None]]:
    """`n` labelled posts, `created_at` evenly spread over [start, end), each with its JPEG.

    Post i depends on (seed, i) alone, its time also on the window; ids are "syn-SEED-I". Labels
    are balanced: every run of len(labels) posts has each once. `pair_type` says which modality
    tells: both, text_tells, image_tells, conflict_text, conflict_image (that one misleads),
    text_only, image_only. `drift` changes the look of all images (a new camera filter) or the
    telling words of all texts (new slang); ids, labels, times and the other modality stay.

    Raises:
        CovlaError: a label without a scene, or arguments outside their range.
    """
    return list(iter_posts(n, seed, start, end, drift=drift, labels=labels, conflict=conflict))


def _post(
    i: int, seed: int, when: datetime, names: list[str], conflict: float, drift: Drift | None
) -> tuple[FolderPost, bytes | None]:
    block, place = divmod(i, len(names))
    label = names[int(rng_for("synthetic block", seed, block).permutation(len(names))[place])]
    # One generator per modality: a change of the one leaves the other as it is.
    plan, words, scene = (rng_for("synthetic", part, seed, i) for part in ("plan", "text", "image"))
    kind, hint = _kind(plan, conflict), _another(names, label, plan)
    text, image = "", None
    if kind != "image_only":
        text = write_text(
            label,
            words,
            telling=kind in {"both", "text_tells", "text_only", "conflict_image"},
            hint=hint if kind == "conflict_text" else None,
            slang=drift == "text",
        )
    if kind != "text_only":
        image = draw_image(
            label,
            scene,
            telling=kind in {"both", "image_tells", "image_only", "conflict_text"},
            hint=hint if kind == "conflict_image" else None,
            filtered=drift == "image",
        )
    post = SocialPost(
        post_id=f"syn-{seed}-{i:06d}",
        author_id=f"syn-author-{int(plan.integers(_AUTHORS)):03d}",
        created_at=when,
        text=text,
        lang="en",
        image=None if image is None else Image(data=base64.b64encode(image).decode()),
    )
    return FolderPost(post, label, None, kind), image


def _kind(rng: np.random.Generator, conflict: float) -> str:
    draw, misleads = rng.random(2)
    if draw < 2 * SINGLE:
        return "text_only" if draw < SINGLE else "image_only"
    position = (draw - 2 * SINGLE) / (1 - 2 * SINGLE)
    if position < 2 * TELLS - 1:
        return "both"
    text_tells = position < TELLS
    if misleads < conflict:
        return "conflict_image" if text_tells else "conflict_text"
    return "text_tells" if text_tells else "image_tells"


def _another(names: list[str], label: str, rng: np.random.Generator) -> str | None:
    others = [name for name in names if name != label]
    return others[int(rng.integers(len(others)))] if others else None


def with_splits(
    items: Sequence[tuple[FolderPost, bytes | None]], unlabelled: float = 0.0
) -> list[tuple[FolderPost, bytes | None]]:
    """The same posts with a `split` each, by its id alone: train 70 %, val and test 15 % each.

    The fraction `unlabelled` of them lose their label and get the split "unlabelled".
    """
    return [(_split(item, unlabelled), image) for item, image in items]


def _split(item: FolderPost, unlabelled: float) -> FolderPost:
    first, second = rng_for("synthetic split", item.post.post_id).random(2)
    if first < unlabelled:
        return replace(item, label=None, split="unlabelled")
    return replace(item, split="train" if second < 0.7 else "val" if second < 0.85 else "test")
