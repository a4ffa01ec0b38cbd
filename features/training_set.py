"""What is known of the posts of a time range: a point-in-time join through Feast."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TypedDict

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from covla.settings import Settings
from covla.time_range import TimeRange
from covla.times import now
from features.definitions import HASHTAG, POST_VIEWS
from features.feast_api import FeatureStore
from features.feature_store import apply
from features.hashtags import history
from features.lake import write_parquet
from features.snapshot import snapshot
from features.times import POSSIBLE, bounds, connect, passed_over

FEATURES = [f"{view}:{name}" for view, (_, features, _) in POST_VIEWS.items() for name in features]
COLUMNS = [name for _, features, _ in POST_VIEWS.values() for name in features]


class HashtagState(TypedDict):
    """A hashtag as it was just before a post."""

    posts: int
    labelled: int
    prior: list[float]


def training_set(
    window: TimeRange,
    settings: Settings,
    as_of: datetime | None = None,
    *,
    everything: bool = False,
) -> pd.DataFrame:
    """One row per post of the time range, in order of time.

    A post that came several times is in the time range of its last version. Labels and teacher
    vectors are the last that were known at `as_of`. A row that was written to the lake later
    than `as_of` is not seen, whatever its event time (feast#6615).

    Left out are rows that `covla validate` quarantined, and posts of a time range that it blocked:
    of several verdicts on a post's time, the last one that was known at `as_of` counts. So are
    posts whose text has expired.

    Args:
        window: of event time.
        settings: which state folder.
        as_of: aware; default now.
        everything: also what is left out of training.

    Returns:
        post_id, event_timestamp, every feature of `definitions.POST_VIEWS` (null where nothing is
        known) and `hashtag_priors`: hashtag -> `HashtagState`. Rows whose time cannot be are
        passed over; `attrs["passed_over"]` counts them, table of the lake -> rows, and
        `attrs["left_out"]` the posts that were "quarantined", "blocked" or "expired".
    """
    as_of = as_of or now()
    odd = passed_over(settings)
    spine = _entity_df(window, settings, as_of)
    left_out = {name: pc.sum(spine[name]).as_py() or 0 for name in ("quarantined", "blocked")}
    if not everything:
        spine = spine.filter(pc.invert(pc.or_(spine["quarantined"], spine["blocked"])))
    columns = ["post_id", "event_timestamp", *COLUMNS, "hashtag_priors"]
    empty = pd.DataFrame(columns=columns)
    frame = _joined(spine, settings, as_of, odd)[columns] if spine.num_rows else empty
    # `covla housekeeping` leaves null in place of a text.
    expired = frame["has_text"].eq(True) & frame["text"].isna()
    if expired.any():
        left_out["expired"] = int(expired.sum())
    if not everything:
        frame = frame[~expired].reset_index(drop=True)
    frame.attrs |= {"passed_over": odd, "left_out": left_out}
    return frame


def nothing_in(window: TimeRange, frame: pd.DataFrame) -> str:
    """Why the training set `frame` is empty."""
    counts = " and ".join(f"{n} {why}" for why, n in frame.attrs["left_out"].items() if n)
    return f"no post in the window {window}" + (f" but {counts}" if counts else "")


def _joined(
    spine: pa.Table, settings: Settings, as_of: datetime, odd: Mapping[str, int]
) -> pd.DataFrame:
    entities = pd.DataFrame({"post_id": spine["post_id"].to_pandas()})
    entities["event_timestamp"] = pd.Timestamp(as_of).as_unit("us")
    with _store(settings, as_of) as store:
        job = store.get_historical_features(
            entities, features=FEATURES, filter_by_created_timestamp=True
        )
        frame: pd.DataFrame = job.to_arrow().to_pandas()
        frame = frame.drop(columns="event_timestamp").merge(
            spine.to_pandas(), on="post_id", validate="one_to_one"
        )
        frame = frame.sort_values(["event_timestamp", "post_id"], ignore_index=True)
        frame["hashtag_priors"] = pd.Series(_priors(frame, store), dtype=object)
    for table, columns in (("labels", ["label", "source"]), ("teacher", ["teacher", "teacher_id"])):
        if table in odd:
            mask = frame["post_id"].isin(_possible(table, settings, as_of))
            frame[columns] = frame[columns].where(mask, None)
    return frame


@contextmanager
def _store(settings: Settings, as_of: datetime) -> Iterator[FeatureStore]:
    """Feast over the lake as it is now, and over the hashtag table as it was at `as_of`."""
    with (
        snapshot(settings, "posts", "labels", "teacher") as files,
        tempfile.TemporaryDirectory() as folder,
    ):
        state = Path(folder) / "hashtags.parquet"
        write_parquet(history(settings, as_of=as_of), state)
        local = settings.model_copy(update={"online_store": "sqlite"})
        yield apply(local, Path(folder), sources={**files, "hashtags": str(state)})


def _entity_df(window: TimeRange, settings: Settings, as_of: datetime) -> pa.Table:
    """The posts whose last version known at `as_of` is in the time range, when it was, and whether
    validation `quarantined` the row or `blocked` its time, one of the two."""
    query = f"""
        with post as (
            select post_id, max(event_timestamp) as event_timestamp
            from read_parquet($posts, hive_partitioning=false)
            where created_timestamp <= $as_of and event_timestamp >= $start
              and event_timestamp <= $as_of and {POSSIBLE}
            group by post_id having max(event_timestamp) < $end
        ), aside as (
            select distinct post_id, event_timestamp, true as quarantined
            from read_parquet($quarantine, hive_partitioning=false)
            where created_timestamp <= $as_of
        ), verdict as (
            select event_timestamp as start, "end", created_timestamp, blocked
            from read_parquet($verdicts, hive_partitioning=false)
            where created_timestamp <= $as_of
        ), moment as (
            select post.event_timestamp, arg_max(blocked, created_timestamp) as blocked
            from post join verdict
              on post.event_timestamp >= verdict.start and post.event_timestamp < verdict."end"
            group by post.event_timestamp
        )
        select post_id, event_timestamp, coalesce(quarantined, false) as quarantined,
               coalesce(blocked and quarantined is null, false) as blocked
        from post left join aside using (post_id, event_timestamp)
        left join moment using (event_timestamp)
    """  # noqa: S608
    values = {
        "as_of": as_of,
        "start": window.start,
        "end": window.end,
        **bounds(settings, as_of),
    }
    tables = ("posts", "quarantine", "verdicts")
    with snapshot(settings, *tables) as files, connect() as database:
        return database.sql(query, params={**files, **values}).to_arrow_table()


def _possible(table: str, settings: Settings, as_of: datetime) -> list[str]:
    """Posts with a row of `table` whose time can be: the last of these is what Feast joined."""
    with snapshot(settings, table) as files, connect() as database:
        rows = database.execute(
            "select distinct post_id from read_parquet($files, hive_partitioning=false) "  # noqa: S608
            f"where created_timestamp <= $as_of and {POSSIBLE}",
            {"files": files[table], "as_of": as_of, **bounds(settings, as_of)},
        ).fetchall()
    return [post_id for (post_id,) in rows]


def _priors(frame: pd.DataFrame, store: FeatureStore) -> list[dict[str, HashtagState]]:
    """Per post, the state of each of its hashtags at the post's own time."""
    pairs = [
        (tag, at)
        for tags, at in zip(frame["hashtags"], frame["event_timestamp"], strict=True)
        for tag in (tags if tags is not None else ())
    ]
    if not pairs:
        return [{} for _ in range(len(frame))]
    entities = pd.DataFrame(pairs, columns=["hashtag", "event_timestamp"]).drop_duplicates()
    features = [f"hashtag:{name}" for name in HASHTAG]
    joined = store.get_historical_features(entities, features=features).to_arrow().to_pylist()
    states: dict[tuple[str, datetime], HashtagState] = {
        (row["hashtag"], row["event_timestamp"]): HashtagState(
            posts=row["posts"], labelled=row["labelled"], prior=row["prior"]
        )
        for row in joined
        if row["posts"] is not None
    }
    return [
        {tag: states[tag, at] for tag in (tags if tags is not None else ()) if (tag, at) in states}
        for tags, at in zip(frame["hashtags"], frame["event_timestamp"], strict=True)
    ]
