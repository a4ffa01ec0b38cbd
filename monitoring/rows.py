"""The live posts that drift compares with a model's training rows: a time range of the lake."""

from datetime import datetime

import pandas as pd

from covla.errors import TooFew
from covla.settings import Settings
from covla.time_range import TimeRange
from monitoring.sides import FEATURES

COLUMNS = ("post_id", "has_text", "has_image", "encoder_id", *FEATURES)


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
