"""Which expectations a time range is held against, with limits for its number of posts."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from features.validation.checks import Check, Planned
from features.validation.columns import EMBEDDINGS, comparable
from features.validation.interval import LEAST
from features.validation.limits import (
    expected_shares,
    most_divergence,
    most_of,
    range_of,
    volume_range,
)
from features.validation.rules import RANGES, Rule

LEAST_REFERENCE = 100  # rows of the reference
POSTS_PER_CATEGORY = 5  # for a divergence to be distributed as it is for many posts
RARE = 0.01  # a category below this share of the reference is one of the others
OTHERS = "(others)"


@dataclass(frozen=True)
class Evidence:
    """What a time range is held against."""

    counts: list[int]  # posts of comparable time ranges
    dead_letters: list[str]
    reference: pd.DataFrame | None  # the champion's training posts
    labels: list[str]  # the taxonomy


Plan = Iterator[Planned | Check]


def plan(frame: pd.DataFrame, rules: Mapping[str, Rule], evidence: Evidence) -> Plan:
    """Every expectation of `rules`, or why it is not evaluated.

    Args:
        frame: of `columns.measured`, at least one row; categories are added to it.
    """
    yield from _volume(frame, rules, evidence)
    for name, limit, column in (
        ("text_missing", rules["text_missing"].limit, "has_text"),
        ("image_missing", rules["image_missing"].limit, "has_image"),
    ):
        yield from _missing(frame, name, limit, _reference(evidence, column), rules)
    for name, column in (("label_balance", "label"), ("language_mix", "lang")):
        yield from _mix(frame, name, column, _reference(evidence, column), rules)
    for name, column in RANGES.items():
        yield from _range(frame, name, column, _reference(evidence, column), rules)
    about, images = _ids(frame, comparable(frame)), _ids(frame, frame["has_image"].astype(bool))
    text = "no copy of an earlier post"
    yield Planned("duplicates", "copy_of", text, "ColumnValuesToBeNull", {}, about)
    name, text = "near_duplicate_images", "no image of an earlier post"
    yield Planned(name, "image_copy_of", text, "ColumnValuesToBeNull", {}, images)
    yield from _corruption(frame, evidence)


def _not_evaluated(name: str, column: str, reason: str, rules: Mapping[str, Rule]) -> Check:
    text, severity = name.replace("_", " "), rules[name].severity
    return Check(name, column, text, severity, True, "not evaluated", reason=reason)


def _reference(evidence: Evidence, column: str) -> pd.Series | str:
    """The reference's values that are there; or why they are not enough."""
    if evidence.reference is None:
        return "there is no champion yet to compare with"
    rows = evidence.reference
    if column not in rows:
        return f"the champion's reference has no {column}"
    if column.startswith("text_"):
        rows = rows[rows["has_text"].astype(bool)]  # of an empty text it holds zeros
    values = rows[column].dropna()
    if len(values) < LEAST_REFERENCE:
        return f"of {len(values)} rows of the reference, at least {LEAST_REFERENCE} are needed"
    return values


def _volume(frame: pd.DataFrame, rules: Mapping[str, Rule], evidence: Evidence) -> Plan:
    counts, dead, posts = evidence.counts, evidence.dead_letters, len(frame)
    if len(counts) < LEAST:
        reason = f"of {len(counts)} comparable time ranges before, at least {LEAST} are needed"
        yield _not_evaluated("volume", "(table)", reason, rules)
    else:
        low, high = volume_range(counts, rules["volume"].limit)
        text = f"{low} to {high} posts"
        limits = {"min_value": low, "max_value": high}
        yield Planned("volume", "(table)", text, "TableRowCountToBeBetween", limits)
    records = posts + len(dead)
    share = most_of(records, rules["dead_letters"].limit) / records
    text = f"at most {share:.1%} of {records} records are dead letters"
    yield Planned(
        "dead_letters", "dead_letter", text, "ColumnMeanToBeBetween", {"max_value": share},
        of_records=True, shows=dead,
    )  # fmt: skip


def _missing(
    frame: pd.DataFrame,
    name: str,
    limit: float,
    reference: pd.Series | str,
    rules: Mapping[str, Rule],
) -> Plan:
    if isinstance(reference, str):
        yield _not_evaluated(name, name, reference, rules)
        return
    missing = 1 - float(reference.astype(float).mean())
    most = most_of(len(frame), min(missing + limit, 1)) / len(frame)
    text = f"at most {most:.1%} of posts, where the reference has {missing:.1%}"
    shows = frame.loc[frame[name] > 0, "post_id"].tolist()
    yield Planned(name, name, text, "ColumnMeanToBeBetween", {"max_value": most}, shows=shows)


def _mix(
    frame: pd.DataFrame,
    name: str,
    column: str,
    reference: pd.Series | str,
    rules: Mapping[str, Rule],
) -> Plan:
    if isinstance(reference, str):
        yield _not_evaluated(name, column, reference, rules)
        return
    shares = reference.value_counts(normalize=True)
    kept = sorted(shares.index[shares >= RARE])
    categories = [*kept, OTHERS]
    weights = expected_shares(np.array([*shares[kept], max(1 - shares[kept].sum(), 0)]))
    known = frame[column].notna()
    values = frame[column].where(frame[column].isin(kept) | ~known, OTHERS)
    rows, least = int(known.sum()), POSTS_PER_CATEGORY * len(categories)
    if rows < least:
        reason = f"of {rows} posts with a {column}, at least {least} are needed"
        yield _not_evaluated(name, column, reason, rules)
        return
    frame[name] = values
    most = most_divergence(rows, len(categories), rules[name].limit)
    partition = {"values": categories, "weights": weights.tolist()}
    excess = values.value_counts(normalize=True).reindex(categories, fill_value=0) - weights
    shows = frame.loc[values == excess.idxmax(), "post_id"].tolist()
    yield Planned(
        name, name, f"divergence from the reference at most {most:.2f} in {rows} posts",
        "ColumnKLDivergenceToBeLessThan", {"partition_object": partition, "threshold": most},
        shows=shows,
    )  # fmt: skip


def _range(
    frame: pd.DataFrame,
    name: str,
    column: str,
    reference: pd.Series | str,
    rules: Mapping[str, Rule],
) -> Plan:
    if isinstance(reference, str):
        yield _not_evaluated(name, column, reference, rules)
        return
    low, high = range_of(reference.to_numpy(dtype=float))
    limits = {"min_value": low, "max_value": high}
    text = f"from {low:.3g} to {high:.3g}, as 98 % of the reference"
    about = _ids(frame, frame[column].notna())
    yield Planned(name, column, text, "ColumnValuesToBeBetween", limits, about)


def _corruption(frame: pd.DataFrame, evidence: Evidence) -> Plan:
    def among(name: str, column: str, text: str, values: list[Any]) -> Planned:
        about = _ids(frame, frame[column].notna())
        kind, arguments = "ColumnValuesToBeInSet", {"value_set": values}
        return Planned(name, column, text, kind, arguments, about)

    for embedding in EMBEDDINGS:
        width = f"{embedding}_width"
        widths = frame.loc[frame[width] > 0, width].mode().tolist() or [0.0]
        yield among("embedding_width", width, f"{width} as most", widths[:1])
        yield among("embedding_finite", f"{embedding}_finite", f"{embedding} finite", [1.0])
    yield among(
        "one_encoder", "encoder_id", "encoder as most", frame["encoder_id"].mode().tolist()[:1]
    )
    yield among("label_known", "label", "label in the taxonomy", evidence.labels)


def _ids(frame: pd.DataFrame, mask: pd.Series) -> list[str]:
    ids: list[str] = frame.loc[mask, "post_id"].tolist()
    return ids
