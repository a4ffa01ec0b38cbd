"""What is compared: feature rows of a time range and of the reference, as columns by modality.

Both sides are capped samples chosen by the hash of the post id, so the same rows give the same
columns in whatever order they come, and a long time range costs no more than a short one. A column
that shows nothing, or that the reference lacks, is not tested, and `untested` says why.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from covla.arrays import DoubleArray
from monitoring.pairing import PAIRS_PER_COMPONENT, Pairing
from monitoring.sides import (
    EMBEDDINGS,
    MEASURES,
    MIN_ROWS,
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

    @property
    def sides(self) -> Sides:
        """Current and reference."""
        return self.current, self.reference


def sample(frame: pd.DataFrame, rows: int, *, skip: int = 0) -> pd.DataFrame:
    """`rows` rows in the order of their post ids' hashes, after the first `skip`."""
    keys = frame["post_id"].map(lambda post: hashlib.sha256(str(post).encode()).hexdigest())
    return frame.loc[keys.sort_values(kind="stable").index].iloc[skip : skip + rows]


def compare(
    window: pd.DataFrame, reference: pd.DataFrame, agreement: Agreement | None = None
) -> Comparison:
    """Columns of both sides, which `check` has accepted, ready to be tested.

    The principal components are fitted on reference rows that are not compared: rows that a
    projection was fitted on spread wider along it than new ones, which would look like drift.
    """
    window = window.reset_index(drop=True)
    reference = with_every_column(reference.reset_index(drop=True))
    compared = min(MAX_ROWS, len(reference) // 2)
    fitted = sample(reference, MAX_ROWS, skip=compared)
    sides = (sample(window, MAX_ROWS), sample(reference, compared))
    comparison = Comparison(pd.DataFrame(index=sides[0].index), pd.DataFrame(index=sides[1].index))
    _missing(comparison, sides)
    basis: dict[str, pd.DataFrame] = {}
    for modality, names in MEASURES.items():
        masks = (_window_mask(sides[0], modality), _reference_mask(sides[1], modality))
        if reason := too_few(masks):
            comparison.skipped[modality] = f"{reason} with {modality}"
            continue
        comparison.columns[modality] = list(names)
        for out, side, rows in zip(comparison.sides, sides, masks, strict=True):
            for name in names:
                numbers = pd.to_numeric(side[name], errors="coerce").astype(float)
                out[name] = numbers.where(rows & np.isfinite(numbers))
            if modality == "text":
                out["text_lang"] = side["lang"].where(rows)
        basis[modality] = _embedding(comparison, sides, fitted, modality)
    if "text" in comparison.columns:
        comparison.columns["text"].append("text_lang")
        comparison.categorical.append("text_lang")
    _agreement(comparison, sides, agreement, basis)
    for modality, columns in comparison.columns.items():
        comparison.columns[modality] = [name for name in columns if _testable(comparison, name)]
    return comparison


def _testable(comparison: Comparison, name: str) -> bool:
    columns = (side[name] for side in comparison.sides)
    reason = untestable(*columns, numbers=name not in comparison.categorical)
    if reason:
        comparison.untested[name] = reason
    return reason is None


def _missing(comparison: Comparison, sides: Sides) -> None:
    comparison.columns["missing"] = ["missing_text", "missing_image"]
    comparison.categorical += comparison.columns["missing"]
    words = {True: "no", False: "yes"}
    for modality in MEASURES:
        mask = present(sides[1], modality)
        comparison.current[f"missing_{modality}"] = _window_mask(sides[0], modality).map(words)
        comparison.reference[f"missing_{modality}"] = None if mask is None else mask.map(words)


def _window_mask(window: pd.DataFrame, modality: str) -> "pd.Series[bool]":
    # Ingest encodes every text and every image: where there is no embedding, there is none.
    mask = present(window, modality)
    return window[f"{modality}_embedding"].notna() if mask is None else mask


def _reference_mask(reference: pd.DataFrame, modality: str) -> "pd.Series[bool]":
    mask = present(reference, modality)
    return measured(reference, modality) if mask is None else mask


def _embedding(
    comparison: Comparison, sides: Sides, fitted: pd.DataFrame, modality: str
) -> pd.DataFrame:
    """Adds the components, and gives those of the rows that they were fitted on."""
    from sklearn.decomposition import PCA

    column = f"{modality}_embedding"
    masks = (finite_vectors(sides[0][column]), finite_vectors(sides[1][column]))
    basis = fitted[column][finite_vectors(fitted[column])]
    if (reason := too_few(masks)) or len(basis) < MIN_ROWS:
        comparison.untested[column] = reason or f"{len(basis)} posts of the reference are too few"
        return pd.DataFrame()  # quality is compared all the same
    vectors = stack(basis)
    if np.ptp(vectors, axis=0).max() == 0:
        comparison.untested[column] = "it has one value in the reference"
        return pd.DataFrame()
    components = min(COMPONENTS, *vectors.shape)
    projection = PCA(components, svd_solver="randomized", random_state=0).fit(vectors)
    names = [f"{column}_{i + 1:02d}" for i in range(components)]
    for out, side, rows in zip(comparison.sides, sides, masks, strict=True):
        kept = side[column][rows]
        values = pd.DataFrame(projection.transform(stack(kept)), kept.index, names)
        out[names] = values.reindex(out.index)
    comparison.embeddings[modality] = names
    return pd.DataFrame(projection.transform(vectors), basis.index, names)


def _agreement(
    comparison: Comparison,
    sides: Sides,
    agreement: Agreement | None,
    basis: dict[str, pd.DataFrame],
) -> None:
    both = [
        finite_vectors(side[EMBEDDINGS[0]]) & finite_vectors(side[EMBEDDINGS[1]]) for side in sides
    ]
    if few := too_few((both[0], both[1])):
        comparison.skipped["agreement"] = f"{few} with text and image"
        return
    names = comparison.columns["agreement"] = []
    if agreement is None:
        comparison.untested["agreement"] = "no agreement signal for these encoders"
    else:
        names.append("agreement")
        for out, side, rows in zip(comparison.sides, sides, both, strict=True):
            pairs: Any = side[rows]
            values = agreement(stack(pairs[EMBEDDINGS[0]]), stack(pairs[EMBEDDINGS[1]]))
            out["agreement"] = pd.Series(values, pairs.index).reindex(out.index)
    pairing = _pairing(comparison, basis)
    if pairing is not None:
        names.append("agreement_learned")
        for out in comparison.sides:
            parts = [out[comparison.embeddings[name]] for name in MEASURES]
            rows = parts[0].notna().all(axis=1) & parts[1].notna().all(axis=1)
            learned = pairing(*(part[rows].to_numpy() for part in parts))
            out["agreement_learned"] = pd.Series(learned, out.index[rows]).reindex(out.index)


def _pairing(comparison: Comparison, basis: dict[str, pd.DataFrame]) -> Pairing | None:
    """From the rows that the components were fitted on, which are not compared."""
    if comparison.embeddings.keys() != MEASURES.keys():
        comparison.untested["agreement_learned"] = "an embedding is not compared"
        return None
    posts = basis["text"].index.intersection(basis["image"].index)
    if len(posts) < PAIRS_PER_COMPONENT * COMPONENTS:
        reason = f"{len(posts)} pairs of the reference are too few"
        comparison.untested["agreement_learned"] = reason
        return None
    return Pairing.fit(*(basis[name].loc[posts].to_numpy() for name in MEASURES))
