"""Hashtags over time: how many posts carried one, and which labels those posts had.

A function of the lake alone, so that it comes out the same whatever the order in which posts and
labels arrived, however often, and through however many workers.
"""

from datetime import datetime

import pyarrow as pa

from covla.posts.taxonomy import Taxonomy, load_taxonomy
from covla.settings import Settings
from features.definitions import hashtag_window
from features.snapshot import snapshot
from features.tables import HASHTAGS
from features.times import POSSIBLE, bounds, connect

# Events of a hashtag: a post that first carries it, a label of such a post (+1), and the label that
# this one replaces (-1). Nothing counts before both its own time and its post's.
EVENTS = f"""
with carried as (
    select post_id, event_timestamp, created_timestamp, unnest(list_distinct(hashtags)) as hashtag
    from read_parquet($posts, hive_partitioning=false)
    where created_timestamp <= $as_of and {POSSIBLE}
),
posts as (
    select post_id, hashtag, min(event_timestamp) as event_timestamp,
           min(created_timestamp) as created_timestamp
    from carried group by post_id, hashtag
),
labelled as (
    select post_id, event_timestamp, min(created_timestamp) as created_timestamp,
           arg_max(label, created_timestamp) as label
    from read_parquet($labels, hive_partitioning=false)
    where created_timestamp <= $as_of and {POSSIBLE} group by post_id, event_timestamp
),
labels as (
    select *, lag(label) over (partition by post_id order by event_timestamp) as before
    from labelled
),
events as (
    select hashtag, event_timestamp as moment, created_timestamp, null::varchar as label, 1 as step
    from posts
    union all
    select hashtag, greatest(l.event_timestamp, p.event_timestamp),
           greatest(l.created_timestamp, p.created_timestamp), unnest([l.label, l.before]),
           unnest([1, -1])
    from labels l join posts p using (post_id)
)
"""  # noqa: S608


def history(settings: Settings, *, as_of: datetime, latest: bool = False) -> pa.Table:
    """Rows of `HASHTAGS`: the state of each hashtag after each of its events.

    Args:
        settings: which lake, which taxonomy, how many hours counts reach back.
        as_of: rows that were written to the lake later are not seen (feast#6615), nor events that
            were in the future then: one of 2099 would stay the newest for ever.
        latest: the last row of each hashtag alone.

    A row becomes valid one microsecond after its event, so that a post never sees itself, nor a
    label that carries the time of its own post. `prior` is the fraction of each label in taxonomy
    order; zeros where no carrying post was labelled.
    """
    with snapshot(settings, "posts", "labels") as files, connect() as database:
        rows: pa.Table = database.sql(
            EVENTS + _states(load_taxonomy(settings=settings), settings, latest=latest),
            params={
                **files,
                "as_of": as_of,
                **bounds(settings, as_of),
            },
        ).to_arrow_table()
    return rows.cast(HASHTAGS)


def _states(taxonomy: Taxonomy, settings: Settings, *, latest: bool) -> str:
    hours = hashtag_window(settings).total_seconds() / 3600
    names = range(len(taxonomy.names))
    # Taxonomy names are [a-z0-9_] (covla.labels), so they can stand in the text of a query.
    sums = ",\n".join(
        f"greatest(sum(case when label = '{name}' then step else 0 end) over recent, 0) as n{i}"
        for i, name in enumerate(taxonomy.names)
    )
    total = " + ".join(f"n{i}" for i in names)
    shares = ", ".join(f"n{i} / greatest({total}, 1)" for i in names)
    last = "partition by hashtag" if latest else "partition by hashtag, moment"
    return f"""
, states as (
    select hashtag, moment, created_timestamp,
           count(*) filter (where label is null and step = 1) over recent as posts,
           {sums}
    from events
    window recent as (
        partition by hashtag order by moment
        range between interval {hours:.0f} hours preceding and current row
    )
)
select hashtag, moment + interval 1 microsecond as event_timestamp, created_timestamp,
       posts::bigint as posts, ({total})::bigint as labelled, [{shares}]::float[] as prior
from states
qualify row_number() over ({last} order by moment desc, created_timestamp desc) = 1
order by hashtag, moment
"""  # noqa: S608
