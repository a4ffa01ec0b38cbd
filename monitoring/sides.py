"""The two sides of a comparison: whether they can be compared, and what of them can be tested."""

import numpy as np
import pandas as pd

from covla.arrays import DoubleArray
from covla.errors import CovlaError, TooFew
from covla.posts.quality import IMAGE_QUALITY, TEXT_QUALITY

MIN_ROWS = 30  # below this a test has too little power
EMBEDDINGS = ("text_embedding", "image_embedding")
MEASURES = {
    "text": [f"text_{name}" for name in TEXT_QUALITY],
    "image": [f"image_{name}" for name in IMAGE_QUALITY],
}
FEATURES = ("lang", *EMBEDDINGS, *MEASURES["text"], *MEASURES["image"])


def check(window: pd.DataFrame, reference: pd.DataFrame) -> None:
    """Refuse what cannot be compared, before any long work.

    A column that the reference lacks, as one of an older version may, is no reason.

    Raises:
        TooFew: too few rows.
        CovlaError: the window lacks a column, the reference has no features at all, an embedding
            is no vector, or the embeddings are of two encoders.
    """
    sides = {"window": (window, MIN_ROWS), "reference": (reference, 2 * MIN_ROWS)}
    for name, (frame, least) in sides.items():
        needed = ("post_id", *FEATURES) if name == "window" else ("post_id",)
        if missing := [column for column in needed if column not in frame]:
            raise CovlaError(
                f"{name}: no column {missing[0]}", hint="It needs the rows of the feature lake"
            )
        if len(frame) < least:
            raise TooFew(
                f"{name}: {len(frame)} posts are too few to compare, at least {least} are needed",
                hint="Take a longer window" if name == "window" else "Train on more posts",
            )
    if not set(FEATURES) & set(reference):
        raise CovlaError("reference: no column is a feature", hint="Train the model again")
    _check_encoders(window, reference)
    for column in (name for name in EMBEDDINGS if name in reference):
        widths = [_widths(frame[column], column) for frame in (window, reference)]
        if all(len(each) for each in widths) and len({*widths[0], *widths[1]}) > 1:
            raise CovlaError(
                f"{column}: {widths[0][0]} numbers in the window, {widths[1][0]} in the reference",
                hint="Compare with a model that was trained on the features of the same encoders",
            )


def _check_encoders(window: pd.DataFrame, reference: pd.DataFrame) -> None:
    """Vectors of two encoders differ whatever the posts are, even if they are equally long."""
    wanted = reference.attrs.get("encoder_id")
    if not wanted or "encoder_id" not in window:
        return
    found = window["encoder_id"].dropna()
    # A mark of the backend may follow the id of the weights.
    others = found[~found.str.startswith(wanted)]
    if len(others):
        raise CovlaError(
            f"{len(others)} of {len(window)} posts were encoded by {others.iloc[0]}, "
            f"and the reference by {wanted}",
            hint="`covla features backfill --window START/END` encodes the window's posts anew",
        )


def _widths(embeddings: pd.Series, column: str) -> DoubleArray:
    try:
        return np.asarray(embeddings.dropna().map(len).unique())
    except TypeError:
        raise CovlaError(f"{column}: it holds no vectors", hint="Train the model again") from None


def with_every_column(reference: pd.DataFrame) -> pd.DataFrame:
    """The reference with nulls for the features that it lacks."""
    lacking = [name for name in FEATURES if name not in reference]
    empty = pd.DataFrame(None, reference.index, lacking, dtype=object)
    return pd.concat([reference, empty], axis=1)


def stack(embeddings: pd.Series) -> DoubleArray:
    """A column of vectors as N x width."""
    return np.stack([np.asarray(row, dtype=np.float64) for row in embeddings])


def finite_vectors(embeddings: pd.Series) -> "pd.Series[bool]":
    """Which rows have a vector, and one of numbers."""
    vectors = embeddings.dropna()
    finite = [bool(np.isfinite(np.asarray(row, dtype=np.float64)).all()) for row in vectors]
    return pd.Series(finite, vectors.index, dtype=bool).reindex(embeddings.index, fill_value=False)


def present(side: pd.DataFrame, modality: str) -> "pd.Series[bool] | None":
    """The posts with the modality: by the column has_<modality>, or else by the embedding.

    None where neither is kept, as in an old model whose towers trained along.
    """
    mask = side.get(f"has_{modality}")
    if mask is not None and mask.notna().all():
        return mask.astype(bool)
    embedded = side[f"{modality}_embedding"].notna()
    return embedded if embedded.any() else None


def measured(side: pd.DataFrame, modality: str) -> "pd.Series[bool]":
    """Which posts have a measure of the modality."""
    return side[MEASURES[modality]].notna().any(axis=1)


def too_few(masks: "tuple[pd.Series[bool], pd.Series[bool]]") -> str | None:
    """The reason, if one of window and reference has fewer than MIN_ROWS rows."""
    for name, mask in zip(("window", "reference"), masks, strict=True):
        if (count := int(mask.sum())) < MIN_ROWS:
            return f"{count} posts of the {name} are too few (at least {MIN_ROWS})"
    return None


def untestable(window: pd.Series, reference: pd.Series, *, numbers: bool) -> str | None:
    """Why a column cannot show drift; None if it can be tested.

    A measure with one value in the whole reference has no spread to compare the time range with; it
    comes from posts of one kind. A category may be alone: a second one is news.
    """
    if reference.isna().all():
        return "the reference does not have it"
    if reason := too_few((window.notna(), reference.notna())):
        return reason
    if pd.concat([window, reference]).nunique() < 2:
        return "it has one value in window and reference"
    if numbers and reference.nunique() < 2:
        return "it has one value in the reference"
    return None
