"""Noisy copies of the posts that train: how a model learns which side of a post to doubt."""

from dataclasses import replace

from covla.posts.corrupted_post import corrupt
from covla.posts.corruptions import IMAGE_KINDS, TEXT_KINDS, rng_for
from covla.posts.preprocessing import PreparedPost
from covla.training.dataset import PreparedDataset

SEED = 1  # the same copies for every seed of training: they are encoded once
LEVELS = (0.1, 0.5)
LIMIT = 4000  # posts that are copied, labelled ones first: what noise looks like takes no more
# Missing sides are learnt by modality dropout, which costs no encoding.
KINDS = {
    "text": [kind for kind in TEXT_KINDS if kind != "missing"],
    "image": [kind for kind in IMAGE_KINDS if kind != "missing"],
}


def with_copies(data: PreparedDataset, number: int, *, held_out: bool = False) -> PreparedDataset:
    """`data` with `number` noisy copies of every post that trains, of `LIMIT` posts at most; with
    `held_out` then of labelled posts that do not, on which noise is looked at.

    Copies turn about between the sides; kind and level are drawn from post id and number, the
    other post of kind "other" is the one after it. A post keeps its only side as it is.
    """
    learns = [i for i, yes in enumerate(data.train_mask.tolist()) if yes]
    learns = sorted(learns, key=lambda i: int(data.labels[i]) < 0)[:LIMIT]
    copies, origin = [], []
    for rows, change in ((learns, noisy), (data.holdout[:LIMIT] if held_out else [], less_noisy)):
        for place, i in enumerate(rows):
            item, other = data.prepared[i], data.prepared[rows[(place + 1) % len(rows)]]
            for k in range(number):
                changed = change(item, other, k)
                if changed is not item:
                    copies.append(changed)
                    origin.append(i)
    return replace(data, copies=copies, origin=origin)


def noisy(item: PreparedPost, other: PreparedPost, number: int) -> PreparedPost:
    """Copy `number` of a post; the post itself where it cannot be made noisy."""
    draw = rng_for(SEED, item.post.post_id, number)
    side = ("text", "image")[number % 2]
    # A post that has one side alone would be another post with the other's.
    kinds = KINDS[side] if item.text and item.image is not None else KINDS[side][:-1]
    kind = kinds[int(draw.integers(len(kinds)))]
    level = 1.0 if kind == "other" else float(draw.uniform(*LEVELS))
    return corrupt(item, side, level, SEED + number, other, kind)


def less_noisy(item: PreparedPost, other: PreparedPost, number: int) -> PreparedPost:
    """Copy `number` of a held-out post: any kind of noise, as much as live posts may have (0.3)."""
    level = float(rng_for(SEED, item.post.post_id, number).uniform(0, 0.3))
    return corrupt(item, ("text", "image")[number % 2], level, SEED + number, other)
