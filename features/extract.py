"""From prepared posts to feature rows: the one function for the online and the offline store."""

import hashlib
import hmac
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from covla.model.encoders import Encoders
from covla.posts.content_groups import perceptual_hash
from covla.posts.preprocessing import PreparedPost
from covla.posts.quality import IMAGE_QUALITY, TEXT_QUALITY
from features.tables import POSTS

FEATURES = pa.schema(
    [field for field in POSTS if field.name not in {"topic", "partition", "offset"}]
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def author_hash(author_id: str | None, secret: bytes) -> str | None:
    """Keyed SHA-256, so that the store never holds an author id nor one that can be guessed."""
    if author_id is None:
        return None
    return hmac.new(secret, author_id.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def extract(
    items: Sequence[PreparedPost],
    encoders: Encoders,
    created_timestamp: datetime,
    *,
    secret: bytes,
    image_uris: Sequence[str | None],
) -> pa.Table:
    """One row of `FEATURES` per post, in order; null where a modality is missing.

    Args:
        items: what `covla.posts.preprocessing` gave.
        encoders: the frozen towers.
        created_timestamp: when these rows become known (UTC).
        secret: `settings.author_secret()`.
        image_uris: where each image is in the image store.
    """
    rows = []
    for item, code, uri in zip(items, encoders.encode(items), image_uris, strict=True):
        at = item.post.created_at.astimezone(UTC)
        row = {
            "post_id": item.post.post_id,
            "event_timestamp": at,
            "created_timestamp": created_timestamp,
            "posted_at": (at - EPOCH) // timedelta(microseconds=1),
            "author_hash": author_hash(item.post.author_id, secret),
            "text": item.text,
            "lang": item.lang,
            "hashtags": item.hashtags,
            "text_hash": item.text_hash,
            "image_hash": item.image_hash,
            "image_perceptual_hash": None if item.image is None else perceptual_hash(item.image),
            "image_uri": uri,
            "has_text": bool(item.text),
            "has_image": item.image is not None,
            "text_embedding": code.text_embedding,
            "image_embedding": code.image_embedding,
            "encoder_id": encoders.id,
        }
        # Of an empty text there is nothing to measure: null, as for an image that is missing.
        text = item.text_quality if item.text else dict.fromkeys(TEXT_QUALITY)
        row |= {f"text_{name}": text[name] for name in TEXT_QUALITY}
        row |= {f"image_{name}": item.image_quality.get(name) for name in IMAGE_QUALITY}
        rows.append(row)
    return pa.Table.from_pylist(rows, schema=FEATURES)
