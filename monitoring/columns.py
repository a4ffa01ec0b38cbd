"""What is compared: the window's and the reference's feature rows as plain columns by modality.

Both sides are capped samples chosen by the hash of the post id, so the same rows give the same
columns in whatever order they come, and a large window costs no more than a small one. A column
that says nothing, or that the reference lacks, is not tested, and `untested` says why.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from covla.arrays import DoubleArray
from monitoring.sides import (
    EMBEDDINGS,
    MEASURES,
    MIN_ROWS,
    check,
    finite_vectors,
    measured,
    present,
    stack,
    too_few,
    untestable,
    with_every_column,
)

MAX_ROWS = 1_000  # per side; more rows would only find differences too small to matter
COMPONENTS = 16  # principal components of each embedding
MODALITIES = ("text", "image", "agreement", "missing")

# (N x text width, N x image width) -> N, from covla.inference.text_image_similarity
Agreement = Callable[[DoubleArray, DoubleArray], DoubleArray]
Sides = tuple[pd.DataFrame, pd.DataFrame]


@dataclass
class Comparison:
    """Two frames with the same columns, one row per post, NaN where the modality is missing."""

    current: pd.DataFrame
    reference: pd.DataFrame
    columns: dict[str, list[str]] = field(default_factory=dict)  # modality -> what is tested
    embeddings: dict[str, list[str]] = field(default_factory=dict)  # modality -> components
    categorical: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)  # modality -> why nothing is tested
    untested: dict[str, str] = field(default_factory=dict)  # column or embedding -> why it is not


def sample(frame: pd.DataFrame, rows: int, *, skip: int = 0) -> pd.DataFrame:
    """`rows` rows in the order of their post ids' hashes, after the first `skip`."""
    keys = frame["post_id"].map(lambda post: hashlib.sha256(str(post).encode()).hexdigest())
    return frame.loc[keys.sort_values(kind="stable").index].iloc[skip : skip + rows]


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
    window = window.reset_index(drop=True)
    reference = with_every_column(reference.reset_index(drop=True))
    compared = min(MAX_ROWS, len(reference) // 2)
    fitted = sample(reference, MAX_ROWS, skip=compared)
    sides = (sample(window, MAX_ROWS), sample(reference, compared))
    made = Comparison(pd.DataFrame(index=sides[0].index), pd.DataFrame(index=sides[1].index))
    _missing(made, sides)
    for modality, names in MEASURES.items():
        there = (_here(sides[0], modality), _known(sides[1], modality))
        if reason := too_few(there):
            made.skipped[modality] = f"{reason} with {modality}"
            continue
        made.columns[modality] = list(names)
        for out, side, rows in zip((made.current, made.reference), sides, there, strict=True):
            for name in names:
                numbers = pd.to_numeric(side[name], errors="coerce").astype(float)
                out[name] = numbers.where(rows & np.isfinite(numbers))
            if modality == "text":
                out["text_lang"] = side["lang"].where(rows)
        _embedding(made, sides, fitted, modality)
    if "text" in made.columns:
        made.columns["text"].append("text_lang")
        made.categorical.append("text_lang")
    _agreement(made, sides, agreement)
    for modality, columns in made.columns.items():
        made.columns[modality] = [name for name in columns if _testable(made, name)]
    return made


def _testable(made: Comparison, name: str) -> bool:
    reason = untestable(
        made.current[name], made.reference[name], numbers=name not in made.categorical
    )
    if reason:
        made.untested[name] = reason
    return reason is None


def _missing(made: Comparison, sides: Sides) -> None:
    made.columns["missing"] = ["missing_text", "missing_image"]
    made.categorical += made.columns["missing"]
    words = {True: "no", False: "yes"}
    for modality in MEASURES:
        known = present(sides[1], modality)
        made.current[f"missing_{modality}"] = _here(sides[0], modality).map(words)
        made.reference[f"missing_{modality}"] = None if known is None else known.map(words)


def _here(window: pd.DataFrame, modality: str) -> "pd.Series[bool]":
    # Ingest encodes every text and every image: where there is no embedding, there is none.
    here = present(window, modality)
    return window[f"{modality}_embedding"].notna() if here is None else here


def _known(reference: pd.DataFrame, modality: str) -> "pd.Series[bool]":
    known = present(reference, modality)
    return measured(reference, modality) if known is None else known


def _embedding(made: Comparison, sides: Sides, fitted: pd.DataFrame, modality: str) -> None:
    from sklearn.decomposition import PCA

    column = f"{modality}_embedding"
    there = (finite_vectors(sides[0][column]), finite_vectors(sides[1][column]))
    basis = fitted[column][finite_vectors(fitted[column])]
    if (reason := too_few(there)) or len(basis) < MIN_ROWS:
        made.untested[column] = reason or f"{len(basis)} posts of the reference are too few"
        return  # quality is compared all the same
    known = stack(basis)
    if np.ptp(known, axis=0).max() == 0:
        made.untested[column] = "it has one value in the reference"
        return
    components = min(COMPONENTS, *known.shape)
    projection = PCA(components, svd_solver="randomized", random_state=0).fit(known)
    names = [f"{column}_{i + 1:02d}" for i in range(components)]
    for out, side, rows in zip((made.current, made.reference), sides, there, strict=True):
        kept = side[column][rows]
        values = pd.DataFrame(projection.transform(stack(kept)), kept.index, names)
        out[names] = values.reindex(out.index)
    made.embeddings[modality] = names


def _agreement(made: Comparison, sides: Sides, agreement: Agreement | None) -> None:
    both = [
        finite_vectors(side[EMBEDDINGS[0]]) & finite_vectors(side[EMBEDDINGS[1]]) for side in sides
    ]
    reason = "no agreement signal for these encoders" if agreement is None else None
    if reason is None and (few := too_few((both[0], both[1]))):
        reason = f"{few} with text and image"
    if reason or agreement is None:
        made.skipped["agreement"] = str(reason)
        return
    for out, side, rows in zip((made.current, made.reference), sides, both, strict=True):
        pairs: Any = side[rows]
        values = agreement(stack(pairs[EMBEDDINGS[0]]), stack(pairs[EMBEDDINGS[1]]))
        out["agreement"] = pd.Series(values, pairs.index).reindex(out.index)
    made.columns["agreement"] = ["agreement"]
