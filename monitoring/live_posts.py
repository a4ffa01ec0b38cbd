"""What a stream worker predicted in a time range, joined with the labels that came later."""

from datetime import datetime

import numpy as np
import pandas as pd

from covla.arrays import FloatArray
from covla.errors import TooFew
from covla.settings import Settings
from covla.time_range import TimeRange
from covla.times import now
from features.snapshot import snapshot
from features.tables import BACKFILL
from features.times import POSSIBLE, bounds, connect

_QUERY = f"""
with made as (
    select * from read_parquet($predictions, hive_partitioning=false)
    where created_timestamp <= $as_of and event_timestamp >= $start and event_timestamp < $end
      and {POSSIBLE} and topic <> $backfill
    qualify row_number() over (partition by post_id, model_version
                               order by event_timestamp desc, created_timestamp desc) = 1
), known as (
    select post_id, arg_max(label, (event_timestamp, created_timestamp)) as y_true,
           min(created_timestamp) as labelled_at
    from read_parquet($labels, hive_partitioning=false)
    where created_timestamp <= $as_of and {POSSIBLE} group by post_id
)
select post_id, event_timestamp, model_version, label as y_pred, labels, probabilities,
       text_weight, modalities, flags, latency_ms, y_true,
       greatest(epoch(labelled_at) - epoch(made.created_timestamp), 0) / 3600 as delay_hours
from made left join known using (post_id) order by event_timestamp, post_id, model_version
"""  # noqa: S608


def live_posts(
    window: TimeRange, settings: Settings, as_of: datetime | None = None
) -> pd.DataFrame:
    """A row per post and model version that predicted it in `window`, in order of time.

    A post that was predicted again counts once, the last label of a post is its `y_true`. What
    `covla backfill` predicted is not among them: nobody was served by it.

    Args:
        window: of the times at which predictions were made.
        settings: which lake.
        as_of: predictions and labels that came to the lake later are not seen; default now.

    Returns:
        post_id, event_timestamp, model_version, y_pred, labels and probabilities (C each),
        text_weight, modalities, flags, latency_ms, y_true (null without a label), delay_hours
        (from prediction to label, as they came to the lake).

    Raises:
        TooFew: nothing was predicted.
    """
    as_of = as_of or now()
    values: dict[str, datetime | str] = {
        "backfill": BACKFILL,
        "as_of": as_of,
        "start": window.start,
        "end": window.end,
        **bounds(settings, as_of),
    }
    with snapshot(settings, "predictions", "labels") as files, connect() as database:
        frame: pd.DataFrame = database.sql(_QUERY, params={**files, **values}).df()
    if frame.empty:
        raise TooFew(
            f"nothing was predicted in {window}",
            hint="Start `covla stream` and `covla ingest`, which keeps its predictions",
        )
    return frame


def probability_matrix(rows: pd.DataFrame) -> tuple[FloatArray, list[str]]:
    """Probabilities n x C of the rows of one version, and its C labels."""
    labels = list(rows["labels"].iloc[0])
    return np.stack(rows["probabilities"].to_list()).astype(np.float64), labels
