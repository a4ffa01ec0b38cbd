"""Great Expectations over a time range: what must hold before anything is trained on it.

The result is small and plain JSON (great_expectations#8671). Rows that break an expectation go
to the lake's quarantine, which training leaves out; validation fails when too many do that were
not in quarantine before, or when the time range as a whole breaks an expectation.
"""

import logging
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa

from covla.files import write_bytes_aside
from covla.html import render
from covla.posts.taxonomy import load_taxonomy
from covla.settings import Settings
from covla.time_range import TimeRange
from covla.times import now
from features.lake import Lake
from features.tables import QUARANTINE, VERDICTS
from features.training_set import training_set

MOSTLY = 0.95  # fraction of rows that must be good, for the others to be left out alone
# In a quiet hour one odd row is more than the other 5 %, and still only one odd row.
ALLOWED = 1
# Posts that a fraction needs before it means something. An hour of few texts alone is ordinary.
LEAST_TEXTS, LEAST_POSTS = 30, 100
EXAMPLES = 5
OPTIONS = orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY
EMBEDDINGS = ("text_embedding", "image_embedding")
COUNTS = ("text_words", "text_hashtags", "text_mentions", "text_urls", "image_blur", "image_noise")
FRACTIONS = (
    *("text_uppercase_share", "text_digit_share", "text_non_ascii_share"),
    *("text_unique_word_share", "image_brightness", "image_contrast"),
)


@dataclass(frozen=True)
class Check:
    """One expectation and whether it holds."""

    column: str
    expectation: str
    ok: bool
    unexpected: int
    examples: list[str]
    observed: float | None = None  # of an expectation of the whole column


@dataclass(frozen=True)
class Validation:
    """What `covla validate` finds of a time range."""

    window: str
    success: bool
    rows: int
    quarantined: int
    passed_over: dict[str, int]  # table of the lake -> rows whose time cannot be
    expectations: list[Check]
    report: str  # path of the page

    def as_dict(self) -> dict[str, Any]:
        """The JSON document; a check without an observed value has no such field."""
        return asdict(self, dict_factory=lambda pairs: {k: v for k, v in pairs if v is not None})


class _Suite:
    """Expectations, and checks that have too few posts for one."""

    def __init__(self) -> None:
        import great_expectations.expectations as gx

        self._gx = gx
        self.items: list[Any] = []
        self.not_evaluated: list[Check] = []

    def add(self, name: str, kind: str, *, strict: bool = False, **limits: Any) -> None:
        """An expectation of Great Expectations; with `strict`, no row may break it."""
        meta = {"name": name, "position": len(self.items), "strict": strict}
        self.items.append(getattr(self._gx, f"Expect{kind}")(meta=meta, **limits))

    def between(self, name: str, column: str, low: Any, high: Any, *, strict: bool = False) -> None:
        """Every value from `low` to `high`."""
        limits = {"column": column, "min_value": low, "max_value": high}
        self.add(name, "ColumnValuesToBeBetween", strict=strict, **limits)

    def among(self, name: str, column: str, values: Sequence[Any]) -> None:
        """Every value one of `values`."""
        self.add(name, "ColumnValuesToBeInSet", column=column, value_set=values)

    def mean(self, name: str, column: pd.Series, low: float, least: int) -> None:
        """A mean of at least `low` over the rows that have a value, if they are `least`."""
        rows = int(column.notna().sum())
        if rows >= least:
            self.add(name, "ColumnMeanToBeBetween", column=column.name, min_value=low, max_value=1)
            return
        reason = f"not judged: of {rows} posts, at least {least} are needed"
        self.not_evaluated.append(Check(str(column.name), name, True, 0, [reason]))


def validate(window: TimeRange, settings: Settings, as_of: datetime | None = None) -> Validation:
    """Check a time range; writes the result, its page and the quarantined rows.

    With `as_of` a second run gives the same: it reads the lake as it was then.
    """
    frame = training_set(window, settings, as_of, everything=True)
    as_of = as_of or now()
    # A row that an earlier run quarantined does not count; it stays there for as long as it is bad.
    columns = ["post_id", "event_timestamp", "created_timestamp"]
    before = Lake(settings).read("quarantine", window, columns).to_pylist()
    pairs = {
        (row["post_id"], row["event_timestamp"])
        for row in before
        if row["created_timestamp"] < as_of
    }
    keys = zip(frame["post_id"], frame["event_timestamp"], strict=True)
    quarantined = {post_id for post_id, at in keys if (post_id, at.to_pydatetime()) in pairs}
    checks = []
    bad: dict[str, list[str]] = {}
    for check, posts in _evaluate(_measured(frame), window, settings, quarantined):
        checks.append(check)
        for post_id in posts:
            bad.setdefault(post_id, []).append(f"{check.column}: {check.expectation}")
    _quarantine(frame, bad, window, settings, as_of)
    failed = [f"{check.column}: {check.expectation}" for check in checks if not check.ok]
    if not frame.empty:  # of no post there is nothing to say, and late ones are not to blame
        _verdict(failed, window, settings, as_of)
    report = settings.reports / "validation" / f"{window.slug}.html"
    success, odd = not failed, frame.attrs["passed_over"]
    validation = Validation(str(window), success, len(frame), len(bad), odd, checks, str(report))
    document = validation.as_dict()
    write_bytes_aside(report.with_suffix(".json"), orjson.dumps(document, option=OPTIONS))
    write_bytes_aside(report, render("features", "validation.html.j2", **document).encode())
    return validation


def _measured(frame: pd.DataFrame) -> pd.DataFrame:
    """Scalars in place of what Great Expectations cannot read."""
    plain = frame.drop(columns=[*EMBEDDINGS, "teacher", "hashtags", "hashtag_priors"])
    plain["text_length"] = [len(text or "") for text in frame["text"]]
    with_text = frame["has_text"].astype(bool)
    plain["language_known"] = (frame["lang"] != "und").astype(float).where(with_text)
    plain["has_image_share"] = frame["has_image"].astype(float)
    for name in EMBEDDINGS:
        mask = frame[f"has_{name.split('_', maxsplit=1)[0]}"].astype(bool)
        vectors = [() if v is None else v for v in frame[name]]
        finite = [bool(np.isfinite(v).all()) for v in vectors]
        plain[f"{name}_width"] = pd.Series([len(v) for v in vectors], dtype=float).where(mask)
        plain[f"{name}_finite"] = pd.Series(finite, dtype=float).where(mask)
    return plain


def _suite(frame: pd.DataFrame, window: TimeRange, settings: Settings) -> _Suite:
    suite = _Suite()
    suite.add("at least one row", "TableRowCountToBeBetween", min_value=1)
    if frame.empty:
        return suite
    suite.add("is there", "ColumnValuesToNotBeNull", column="post_id", strict=True)
    suite.add("each id once", "ColumnValuesToBeUnique", column="post_id", strict=True)
    last = window.end - timedelta(microseconds=1)
    suite.between("in the window", "event_timestamp", window.start, last, strict=True)
    limit = settings.max_text_characters
    suite.between(f"at most {limit} characters", "text_length", 0, limit)
    suite.mean("share of a known language", frame["language_known"], 0.3, LEAST_TEXTS)
    suite.mean("share of posts with an image", frame["has_image_share"], 0.05, LEAST_POSTS)
    for name in COUNTS:
        suite.between("not negative", name, 0, None)
    for name in FRACTIONS:
        suite.between("in 0..1", name, 0, 1)
    suite.between("in 0..8 bits", "image_entropy", 0, 8)
    suite.between("between 1:50 and 50:1", "image_aspect", 0.02, 50)
    for name in EMBEDDINGS:
        widths = frame.loc[frame[f"{name}_width"] > 0, f"{name}_width"].mode().tolist() or [0.0]
        suite.among("one width", f"{name}_width", widths[:1])
        suite.among("finite", f"{name}_finite", [1.0])
    suite.among("one encoder", "encoder_id", frame["encoder_id"].mode().tolist()[:1])
    if frame["label"].notna().any():
        suite.among("in the taxonomy", "label", load_taxonomy(settings=settings).names)
    return suite


def _evaluate(
    frame: pd.DataFrame, window: TimeRange, settings: Settings, quarantined: set[str]
) -> list[tuple[Check, list[str]]]:
    """Each check, with the ids of the posts that break it."""
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own imports
        import great_expectations as gx
        from great_expectations.data_context.types.base import ProgressBarsConfig

        context = gx.get_context(mode="ephemeral")
        context.enable_analytics(enable=False)
        context.variables.progress_bars = ProgressBarsConfig(globally=False)
        asset = context.data_sources.add_pandas("lake").add_dataframe_asset("window")
        definition = asset.add_batch_definition_whole_dataframe("all")
        batch = definition.get_batch({"dataframe": frame})
        form = {"result_format": "COMPLETE", "unexpected_index_column_names": ["post_id"]}
        wanted = _suite(frame, window, settings)
        suite = gx.ExpectationSuite(name="window", expectations=wanted.items)
        results = batch.validate(suite, result_format=form).to_json_dict()["results"]
        results.sort(key=lambda result: result["expectation_config"]["meta"]["position"])
        checks = [_check(result, quarantined) for result in results]
        return checks + [(check, []) for check in wanted.not_evaluated]


def _check(outcome: dict[str, Any], quarantined: set[str]) -> tuple[Check, list[str]]:
    """From one result of Great Expectations, as JSON."""
    if outcome["exception_info"].get("raised_exception"):
        raise RuntimeError(outcome["exception_info"]["exception_message"])
    result, meta = outcome["result"], outcome["expectation_config"]["meta"]
    posts = [r["post_id"] for r in result.get("unexpected_index_list") or [] if r["post_id"]]
    ok = outcome["success"]
    if not ok and not meta["strict"] and posts:
        fresh = sum(post_id not in quarantined for post_id in posts)
        evaluated = result["element_count"] - result["missing_count"] - (len(posts) - fresh)
        ok = fresh <= max(ALLOWED, int((1 - MOSTLY) * evaluated + 1e-9))
    check = Check(
        outcome["expectation_config"]["kwargs"].get("column", "(table)"),
        meta["name"],
        ok,
        result.get("unexpected_count", 0),
        [str(value)[:80] for value in result.get("unexpected_list", [])[:EXAMPLES]],
        float(result["observed_value"]) if "observed_value" in result else None,
    )
    return check, posts


def _quarantine(
    frame: pd.DataFrame,
    bad: dict[str, list[str]],
    window: TimeRange,
    settings: Settings,
    created: datetime,
) -> None:
    """The bad rows of this time range, in place of those of an earlier run."""
    lake, name = Lake(settings), f"validate-{window.slug}"
    lake.discard("quarantine", window, name)
    if not bad:
        return
    chosen = frame[frame["post_id"].isin(bad.keys())]
    rows = [
        {
            "post_id": post_id,
            "event_timestamp": at.to_pydatetime(),
            "created_timestamp": created,
            "reasons": bad[post_id],
            "window": str(window),
        }
        for post_id, at in zip(chosen["post_id"], chosen["event_timestamp"], strict=True)
    ]
    lake.put("quarantine", pa.Table.from_pylist(rows, schema=QUARANTINE), name)


def _verdict(failed: list[str], window: TimeRange, settings: Settings, as_of: datetime) -> None:
    """Kept, so that training leaves out what is blocked; a second run as of a time repeats it."""
    row = {
        "event_timestamp": window.start,
        "created_timestamp": as_of,
        "end": window.end,
        "blocked": bool(failed),
        "reasons": failed,
    }
    name = f"{window.slug}-{as_of:%Y%m%dT%H%M%S%f}"
    Lake(settings).put("verdicts", pa.Table.from_pylist([row], schema=VERDICTS), name)
