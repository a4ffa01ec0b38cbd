"""Three posts that show a drift: those of the time range that are farthest from the reference."""

import numpy as np
import pandas as pd

from covla.schemas.alert import EXAMPLES, EXCERPT, Example
from covla.settings import Settings
from covla.time_range import TimeRange
from features.lake import Lake
from monitoring.sides import finite_vectors, stack


def examples(
    rows: pd.DataFrame,
    reference: pd.DataFrame,
    column: str | None,
    window: TimeRange,
    settings: Settings,
) -> list[Example]:
    """The posts with the strangest values of `column`, by the names of `monitoring.columns`; the
    same rows give the same ones. Without a column, the first by id.

    Args:
        rows: of the time range, one a post.
        reference: the training rows.
        column: the strongest one that drifted.
        window: the time range, whose texts are read from the lake.
        settings: where the lake is.
    """
    distances = _distances(rows, reference, column)
    order = pd.DataFrame({"post_id": rows["post_id"], "distance": distances}).sort_values(
        ["distance", "post_id"], ascending=[False, True]
    )
    chosen = [str(post) for post in order["post_id"].head(EXAMPLES)]
    table = Lake(settings).read("posts", window, ["post_id", "text"]).to_pylist()
    texts = {row["post_id"]: row["text"] or "" for row in table}
    return [Example(post_id=post, text=excerpt(texts.get(post, ""))) for post in chosen]


def excerpt(text: str) -> str:
    """The beginning of a text, in one line of at most EXCERPT characters."""
    line = " ".join(text.split())
    return line if len(line) <= EXCERPT else line[: EXCERPT - 1] + "…"


def _distances(
    rows: pd.DataFrame, reference: pd.DataFrame, column: str | None
) -> "pd.Series[float]":
    """Of each row from the reference, in any unit; 0 where the row has no value."""
    none = pd.Series(0.0, rows.index)
    if column is not None and column.startswith("missing_"):
        present = rows.get(f"has_{column.removeprefix('missing_')}")
        return none if present is None else present.eq(False).astype(float)
    name = "lang" if column == "text_lang" else column
    if name not in rows or name not in reference:
        return none  # of no single column of the lake, as the similarity of text and image
    if name == "lang":
        shares = reference[name].value_counts(normalize=True)
        return 1 - rows[name].map(shares).fillna(0.0).astype(float)
    if str(name).endswith("_embedding"):
        kept, known = (side[name][finite_vectors(side[name])] for side in (rows, reference))
        if kept.empty or known.empty:
            return none
        away = np.linalg.norm(stack(kept) - stack(known).mean(axis=0), axis=1)
        return pd.Series(away, kept.index).reindex(rows.index, fill_value=0.0)
    values, known = (pd.to_numeric(side[name], errors="coerce") for side in (rows, reference))
    return (values - known.median()).abs().fillna(0.0).astype(float)
