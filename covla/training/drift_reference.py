"""The feature rows of the training posts: what the drift monitor compares new posts with."""

from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from covla.model.pooling_torch import pool_posts
from covla.posts.quality import IMAGE_QUALITY, TEXT_QUALITY
from covla.training.dataset import PreparedDataset


def write_reference(
    path: Path,
    data: PreparedDataset,
    features: list[tuple[Tensor | None, Tensor | None]] | None,
    rows: list[int],
    *,
    limit: int = 5_000,
) -> None:
    """Parquet with post_id, embeddings (null where missing), quality measures, label.

    Args:
        features: tokens and regions per post; None for towers that changed while training, which
            leaves the embeddings null.
        rows: the posts to keep, at most `limit` of them, evenly spaced.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if len(rows) > limit:
        rows = [rows[i] for i in np.linspace(0, len(rows) - 1, limit).astype(int)]
    items = [data.prepared[i] for i in rows]
    columns: dict[str, Any] = {
        "post_id": pa.array([item.post.post_id for item in items]),
        "label": pa.array([data.posts[i].label for i in rows], pa.string()),
        "lang": pa.array([item.lang for item in items]),
        "has_text": pa.array([bool(item.text) for item in items]),
        "has_image": pa.array([item.image is not None for item in items]),
    }
    kept = [(None, None) if features is None else features[i] for i in rows]
    sides = list(zip(*kept, strict=True))
    widths = [next((part.shape[1] for part in side if part is not None), 1) for side in sides]
    pooled = pool_posts(kept, (widths[0], widths[1]))
    for name, side, vectors in zip(("text", "image"), sides, pooled, strict=True):
        values = [
            None if part is None else vector.numpy()
            for part, vector in zip(side, vectors, strict=True)
        ]
        columns[f"{name}_embedding"] = pa.array(values, pa.list_(pa.float32()))
    for prefix, names in (("text", TEXT_QUALITY), ("image", IMAGE_QUALITY)):
        for name in names:
            values = [getattr(item, f"{prefix}_quality").get(name) for item in items]
            columns[f"{prefix}_{name}"] = pa.array(values, pa.float64())
    pq.write_table(pa.table(columns), path)
