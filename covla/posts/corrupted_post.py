"""A post with a noisy text or image, and all that is measured of it as it then is."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from covla.posts import corruptions, quality
from covla.posts.preprocessing import PreparedPost
from covla.schemas.prediction import Flag
from covla.words import visible


def corrupt(
    item: PreparedPost,
    side: str,
    level: float,
    seed: int,
    other: PreparedPost,
    kind: str | None = None,
) -> PreparedPost:
    """`item` with a noisy text or image, of `kind`; else which kind follows from its id.

    Quality, language, hashtags and hashes are those of the noisy post. A post keeps its only
    modality, whatever the draw. `other` lends its text or image to noise of kind "other".
    """
    kinds = corruptions.TEXT_KINDS if side == "text" else corruptions.IMAGE_KINDS
    post_id = item.post.post_id
    kind = kind or kinds[int(corruptions.rng_for(seed, post_id, side).integers(len(kinds)))]
    if side == "text":
        if not item.text:
            return item
        text = corruptions.corrupt_text(
            item.text, kind, level, seed, post_id=post_id, other=other.text or item.text
        )
        if not visible(text) and item.image is None:
            return item
        flags: list[Flag] = item.flags if visible(text) else [*item.flags, "text_missing"]
        return replace(
            item,
            text=text,
            text_hash=hashlib.sha256(text.encode()).hexdigest() if visible(text) else "",
            text_quality=quality.text_quality(text),
            lang=quality.language(text, item.post.lang),
            hashtags=quality.hashtags(text),
            flags=flags,
        )
    if item.image is None:
        return item
    lent = item.image if other.image is None else other.image
    image = corruptions.corrupt_image(item.image, kind, level, seed, post_id=post_id, other=lent)
    if image is None and not item.text:
        return item
    return replace(
        item,
        image=image,
        image_hash="" if image is None else hashlib.sha256(image.tobytes()).hexdigest(),
        image_quality={} if image is None else quality.image_quality(image),
        flags=item.flags if image is not None else [*item.flags, "image_missing"],
    )


def corrupt_all(
    items: Sequence[PreparedPost], side: str, level: float, seed: int, kind: str | None = None
) -> list[PreparedPost]:
    """`corrupt` of each post; to noise of kind "other" the next one lends its text or image, to
    the last the first."""
    others = [*items[1:], *items[:1]]
    return [
        corrupt(item, side, level, seed, other, kind)
        for item, other in zip(items, others, strict=True)
    ]
