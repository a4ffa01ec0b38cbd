"""The columns that Great Expectations looks at, made of a training set."""

from datetime import datetime

import numpy as np
import pandas as pd

from covla.arrays import Array
from covla.posts.content_groups import LEAST_TEXT, similar_pairs
from covla.settings import Settings
from covla.time_range import TimeRange
from features.lake import Lake

EMBEDDINGS = ("text_embedding", "image_embedding")
MAX_IMAGES = 10_000  # that are compared with each other, which takes a second


def measured(frame: pd.DataFrame) -> pd.DataFrame:
    """`frame` with scalars in place of what Great Expectations cannot read.

    `<embedding>_width` and `<embedding>_finite` are null without the modality, `copy_of` and
    `image_copy_of` name the earlier post that has the same content, or a similar image.

    Args:
        frame: of `training_set`, with the column image_perceptual_hash of `with_hashes`.
    """
    nested = [*EMBEDDINGS, "teacher", "hashtags", "hashtag_priors", "image_perceptual_hash"]
    plain = frame.drop(columns=nested)
    for modality in ("text", "image"):
        mask = frame[f"has_{modality}"].astype(bool)
        plain[f"{modality}_missing"] = 1.0 - mask.astype(float)
        name = f"{modality}_embedding"
        vectors = [() if v is None else v for v in frame[name]]
        finite = [float(np.isfinite(v).all()) for v in vectors]
        plain[f"{name}_width"] = pd.Series([len(v) for v in vectors], dtype=float).where(mask)
        plain[f"{name}_finite"] = pd.Series(finite, dtype=float).where(mask)
    plain["copy_of"] = _copies(frame)
    plain["image_copy_of"] = _image_copies(frame)
    return plain


def with_hashes(
    frame: pd.DataFrame, window: TimeRange, settings: Settings, as_of: datetime
) -> pd.DataFrame:
    """`frame` with each post's image_perceptual_hash, null in rows of an earlier release."""
    columns = ["post_id", "event_timestamp", "created_timestamp", "image_perceptual_hash"]
    rows = Lake(settings).read("posts", window, columns).to_pandas()
    rows = rows[rows["created_timestamp"] <= as_of].sort_values("created_timestamp", kind="stable")
    rows = rows.drop_duplicates(["post_id", "event_timestamp"], keep="last")
    hashes = rows.drop(columns="created_timestamp")
    return frame.merge(hashes, on=["post_id", "event_timestamp"], how="left")


def comparable(frame: pd.DataFrame) -> pd.Series:
    """Posts whose content tells them apart: with an image, or with more than a greeting."""
    long: pd.Series = frame["text"].fillna("").str.len() >= LEAST_TEXT
    return long | frame["has_image"].astype(bool)


def _copies(frame: pd.DataFrame) -> pd.Series:
    content = frame["text_hash"].fillna("") + "/" + frame["image_hash"].fillna("")
    first = frame.groupby(content)["post_id"].transform("first")
    return first.where(comparable(frame) & (first != frame["post_id"]), None)


def _image_copies(frame: pd.DataFrame) -> pd.Series:
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    with_image = frame[frame["has_image"].astype(bool)]
    images = with_image.groupby("image_hash", sort=True)["image_perceptual_hash"].first()
    known = np.flatnonzero(images.notna().to_numpy())[:MAX_IMAGES]
    pairs = similar_pairs(_looks(images.iloc[known])) if len(known) > 1 else []
    rows, columns = (known[[pair[side] for pair in pairs]] for side in (0, 1))
    graph = coo_matrix((np.ones(len(pairs)), (rows, columns)), shape=(len(images),) * 2)
    groups = pd.Series(connected_components(graph, directed=False)[1], images.index)
    first = with_image.groupby(with_image["image_hash"].map(groups))["post_id"].transform("first")
    copies = first.where(first != with_image["post_id"], None)
    return copies.reindex(frame.index).astype(object).where(lambda c: c.notna(), None)


def _looks(hashes: pd.Series) -> Array:
    """uint64, N x 1 x 2, as `similar_pairs` takes it."""
    return np.frombuffer(b"".join(hashes), dtype=np.uint64).reshape(-1, 1, 2)
