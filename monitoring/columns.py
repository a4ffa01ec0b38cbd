"""What is compared: the window's and the reference's feature rows as plain columns by modality.

Both sides are capped samples chosen by the hash of the post id, so the same rows give the same
columns in whatever order they come, and a large window costs no more than a small one.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from covla.errors import CovlaError
from covla.signals import IMAGE_QUALITY, TEXT_QUALITY

MIN_ROWS = 30  # below this a test has no power worth a verdict
MAX_ROWS = 1_000  # per side; more rows would only find differences too small to matter
COMPONENTS = 16  # principal components of each embedding
MODALITIES = ("text", "image", "agreement", "missing")

Rows = np.ndarray[Any, np.dtype[np.float64]]
# (N x text width, N x image width) -> N, from covla.agreement
Agreement = Callable[[Rows, Rows], Rows]


@dataclass
class Comparison:
    """Two frames with the same columns, one row per post, NaN where the modality is missing."""

    current: pd.DataFrame
    reference: pd.DataFrame
    columns: dict[str, list[str]] = field(default_factory=dict)  # modality -> what is tested
    embeddings: dict[str, list[str]] = field(default_factory=dict)  # modality -> components
    categorical: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)  # modality -> why nothing is tested


def sample(frame: pd.DataFrame, rows: int, *, skip: int = 0) -> pd.DataFrame:
    """`rows` rows in the order of their post ids' hashes, after the first `skip`."""
    keys = frame["post_id"].map(lambda post: hashlib.sha256(str(post).encode()).hexdigest())
    return frame.loc[keys.sort_values(kind="stable").index].iloc[skip : skip + rows]


def check(window: pd.DataFrame, reference: pd.DataFrame) -> None:
    """Refuse what cannot be compared, before any long work.

    Raises:
        CovlaError: too few rows, a column that is missing, or embeddings of two encoders.
    """
    needed = ["post_id", "lang", "text_embedding", "image_embedding"]
    needed += [f"text_{name}" for name in TEXT_QUALITY] + [
        f"image_{name}" for name in IMAGE_QUALITY
    ]
    sides = {"window": (window, MIN_ROWS), "reference": (reference, 2 * MIN_ROWS)}
    for name, (frame, least) in sides.items():
        if len(frame) < least:
            raise CovlaError(
                f"{name}: {len(frame)} posts are too few to compare, at least {least} are needed",
                hint="Take a longer window" if name == "window" else "Train on more posts",
            )
        if missing := [column for column in needed if column not in frame]:
            raise CovlaError(
                f"{name}: no column {missing[0]}", hint="It needs the rows of the feature lake"
            )
    for column in ("text_embedding", "image_embedding"):
        widths = [frame[column].dropna().map(len).unique() for frame in (window, reference)]
        if all(len(found) for found in widths) and len({*widths[0], *widths[1]}) > 1:
            raise CovlaError(
                f"{column}: {widths[0][0]} numbers in the window, {widths[1][0]} in the reference",
                hint="Compare with a model that was trained on the features of the same encoders",
            )


def compare(
    window: pd.DataFrame, reference: pd.DataFrame, agreement: Agreement | None = None
) -> Comparison:
    """Columns of both sides, ready to be tested.

    The principal components are fitted on reference rows that are not compared: rows that a
    projection was fitted on spread wider along it than new ones, which would look like drift.

    Raises:
        CovlaError: as `check`.
    """
    check(window, reference)
    compared = min(MAX_ROWS, len(reference) // 2)
    fitted = sample(reference, MAX_ROWS, skip=compared)
    sides = (sample(window, MAX_ROWS), sample(reference, compared))
    made = Comparison(pd.DataFrame(index=sides[0].index), pd.DataFrame(index=sides[1].index))
    _missing(made, sides)
    for modality, names in (("text", TEXT_QUALITY), ("image", IMAGE_QUALITY)):
        if reason := _too_few(sides, [f"{modality}_embedding"]):
            made.skipped[modality] = f"{reason} with {modality}"
            continue
        made.columns[modality] = [f"{modality}_{name}" for name in names]
        for out, side in zip((made.current, made.reference), sides, strict=True):
            there = side[f"{modality}_embedding"].notna()
            for name in made.columns[modality]:
                out[name] = pd.to_numeric(side[name]).where(there).astype(float)
        _embedding(made, sides, fitted, modality)
    if "text" in made.columns:
        _language(made, sides)
    _agreement(made, sides, agreement)
    for modality, columns in made.columns.items():
        made.columns[modality] = [name for name in columns if _varies(made, name)]
    return made


def stack(embeddings: pd.Series) -> Rows:
    """A column of vectors as N x width."""
    return np.stack([np.asarray(row, dtype=np.float64) for row in embeddings])


def _too_few(sides: tuple[pd.DataFrame, pd.DataFrame], columns: list[str]) -> str | None:
    for name, side in zip(("window", "reference"), sides, strict=True):
        found = int(side[columns].notna().all(axis=1).sum())
        if found < MIN_ROWS:
            return f"{found} posts of the {name} are too few (at least {MIN_ROWS})"
    return None


def _missing(made: Comparison, sides: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    made.columns["missing"] = ["missing_text", "missing_image"]
    made.categorical += made.columns["missing"]
    for out, side in zip((made.current, made.reference), sides, strict=True):
        for modality in ("text", "image"):
            absent = side[f"{modality}_embedding"].isna()
            out[f"missing_{modality}"] = absent.map({True: "yes", False: "no"})


def _embedding(
    made: Comparison,
    sides: tuple[pd.DataFrame, pd.DataFrame],
    fitted: pd.DataFrame,
    modality: str,
) -> None:
    from sklearn.decomposition import PCA

    column = f"{modality}_embedding"
    basis = fitted[column].dropna()
    if len(basis) < MIN_ROWS:
        return  # quality is compared all the same
    known = stack(basis)
    components = min(COMPONENTS, *known.shape)
    projection = PCA(components, svd_solver="randomized", random_state=0).fit(known)
    names = [f"{column}_{i + 1:02d}" for i in range(components)]
    for out, side in zip((made.current, made.reference), sides, strict=True):
        there = side[column].dropna()
        values = pd.DataFrame(projection.transform(stack(there)), there.index, names)
        out[names] = values.reindex(out.index)
    made.embeddings[modality] = names


def _language(made: Comparison, sides: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    for out, side in zip((made.current, made.reference), sides, strict=True):
        out["text_lang"] = side["lang"].where(side["text_embedding"].notna())
    made.columns["text"].append("text_lang")
    made.categorical.append("text_lang")


def _agreement(
    made: Comparison, sides: tuple[pd.DataFrame, pd.DataFrame], agreement: Agreement | None
) -> None:
    both = ["text_embedding", "image_embedding"]
    reason = "no agreement signal for these encoders" if agreement is None else None
    if reason is None and (few := _too_few(sides, both)):
        reason = f"{few} with text and image"
    if reason or agreement is None:
        made.skipped["agreement"] = str(reason)
        return
    for out, side in zip((made.current, made.reference), sides, strict=True):
        pairs = side[side[both].notna().all(axis=1)]
        values = agreement(stack(pairs[both[0]]), stack(pairs[both[1]]))
        out["agreement"] = pd.Series(values, pairs.index).reindex(out.index)
    made.columns["agreement"] = ["agreement"]


def _varies(made: Comparison, name: str) -> bool:
    """A column with one value on both sides says nothing and would only cost power."""
    return bool(pd.concat([made.current[name], made.reference[name]]).nunique() > 1)
