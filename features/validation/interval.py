"""What is known of a time range beside its posts: how many came before, and its dead letters."""

from datetime import datetime, timedelta

from covla.kafka.clients import Topics
from covla.settings import Settings
from covla.time_range import TimeRange
from features.lake import Lake
from features.snapshot import snapshot
from features.times import POSSIBLE, bounds, connect

INTERVALS = 168  # time ranges that are looked back on: a week of hours
LEAST = 6  # of them, for a range to mean something
# Of them, the lowest and the highest tenth do not count: an outage or a flood does not move the
# limits, and a volume that stays where it went to does so after a day or two.
TRIM = 0.1
_DAY, _MICROSECOND = timedelta(days=1), timedelta(microseconds=1)


def comparable_counts(window: TimeRange, settings: Settings, as_of: datetime) -> list[int]:
    """Posts in each of the time ranges before that are like this one, sorted, without extremes.

    Those are of the same length and, where that divides a day, of the same time of day or next to
    it, so that a quiet night is compared with nights. None is before the first post of the lake.
    """
    length = window.end - window.start
    counts = _counts(window, settings, as_of)
    day = _DAY // length if length < _DAY and not _DAY % length else 1
    chosen = sorted(
        count for back, count in enumerate(counts, 1) if min(back % day, -back % day) <= 1
    )
    cut = int(TRIM * len(chosen))
    return chosen[cut : len(chosen) - cut]


def _counts(window: TimeRange, settings: Settings, as_of: datetime) -> list[int]:
    """Posts in each of the time ranges before, the last one first."""
    length = window.end - window.start
    intervals = min(INTERVALS, (window.start - settings.earliest_time) // length)
    if intervals < 1:
        return []
    query = f"""
        select (epoch_us($start) - 1 - epoch_us(event_timestamp)) // $length as back,
               count(distinct post_id)
        from read_parquet($posts, hive_partitioning=false)
        where created_timestamp <= $as_of and event_timestamp >= $since
          and event_timestamp < $start and {POSSIBLE}
        group by back
    """  # noqa: S608
    values = {
        "start": window.start,
        "since": window.start - intervals * length,
        "length": length // _MICROSECOND,
        "as_of": as_of,
        **bounds(settings, as_of),
    }
    with snapshot(settings, "posts") as files, connect() as database:
        found = dict(database.execute(query, {**files, **values}).fetchall())
    return [found.get(back, 0) for back in range(max(found, default=-1) + 1)]


def dead_letters_of(window: TimeRange, settings: Settings, as_of: datetime) -> list[str]:
    """The posts topic's dead letters of a time range, each as one line, without its content."""
    columns = ["event_timestamp", "created_timestamp", "stage", "error_code"]
    rows = Lake(settings).read("dead_letters", window, [*columns, "topic", "partition", "offset"])
    topic = Topics.of(settings).posts
    lines = {
        (row["partition"], row["offset"]): f"{row['error_code']} at {row['stage']}, "
        f"{topic}:{row['partition']}:{row['offset']}"
        for row in rows.to_pylist()
        if row["created_timestamp"] <= as_of and row["topic"] == topic
    }
    return [line for _, line in sorted(lines.items())]
