"""Where the two sides come from: a time range of the feature lake, and a model's training rows."""

from datetime import datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa

from covla.errors import CovlaError, TooFew
from covla.settings import Settings
from covla.time_range import TimeRange
from monitoring.sides import FEATURES

COLUMNS = ("post_id", "has_text", "has_image", *FEATURES)


def window_rows(
    window: TimeRange, settings: Settings, as_of: datetime | None = None
) -> pd.DataFrame:
    """The feature rows of a time range, each post once in the last version written by `as_of`.

    Posts that validation put aside are among them: they were served too.

    Raises:
        TooFew: the lake has no post of it.
    """
    from features.lake import Lake

    order = ["event_timestamp", "created_timestamp"]
    rows = Lake(settings).read("posts", window, [*COLUMNS, *order]).to_pandas()
    if as_of is not None:
        rows = rows[rows["created_timestamp"] <= as_of]
    if rows.empty:
        raise TooFew(
            f"window: the lake has no post of {window}",
            hint="Run `covla ingest`, or take a window of event time that has posts",
        )
    latest: pd.DataFrame = rows.sort_values(order, kind="stable").drop_duplicates(
        "post_id", keep="last"
    )
    return latest.reset_index(drop=True)


def reference_rows(ref: str, settings: Settings) -> tuple[str, pd.DataFrame]:
    """The version that `ref` names and the feature rows that it was trained on.

    Raises:
        CovlaError: no such model, or it holds no reference rows.
        TooFew: it is the champion, and none was promoted yet.
    """
    from covla.registry.registry import Registry

    registry = Registry(settings)
    if ref == "champion" and registry.champion() is None:
        raise TooFew("there is no champion yet to compare with", hint="Promote one")
    version, folder = registry.resolve(ref)
    return version, read_reference(folder)


def read_reference(folder: Path) -> pd.DataFrame:
    """`reference.parquet` of a model folder.

    Raises:
        CovlaError: it is not there or cannot be read.
    """
    path = folder / "reference.parquet"
    if not path.is_file():
        raise CovlaError(
            f"{folder} has no reference.parquet to compare with",
            hint="Train a version with `covla train`; it keeps its training rows there",
        )
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())[:200]
        raise CovlaError(f"cannot read {path}: {reason}", hint="Train the model again") from error
