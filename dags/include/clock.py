"""When DAGs run: section [covla] of Airflow's own configuration, so that a platform team sets it
where it sets Airflow (AIRFLOW__COVLA__SCHEDULE and so on)."""

from datetime import UTC, datetime, timedelta
from functools import partial

from airflow.configuration import conf
from airflow.sdk import dag

from covla_timetable import IntervalTimetable
from include.failures import task_failed, task_succeeded

LATENESS = conf.getfloat("covla", "lateness_minutes", fallback=10.0)
CATCHUP = conf.getint("covla", "catchup_hours", fallback=72)
# Of tasks that use a GPU: a pool with as many slots as there are GPUs keeps the others waiting.
GPU_POOL = conf.get("covla", "gpu_pool", fallback="default_pool")

HOURLY = "@hourly"

# A task is tried again after 1, 2, 4 ... minutes, where its command says that a retry may help.
TASKS = {
    "owner": "covla",
    "retries": 4,
    "retry_delay": timedelta(minutes=1),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=30),
    "on_failure_callback": task_failed,
    "on_success_callback": task_succeeded,
}
# One run at a time: two on one time range would write the same files. How far back runs are made
# is for the timetable to say, not for the start.
covla_dag = partial(
    dag,
    start_date=datetime(2020, 1, 1, tzinfo=UTC),
    catchup=True,
    max_active_runs=1,
    tags=["covla"],
    default_args=TASKS,
)


def clock(
    option: str, default: str, *, after: int = 0, live: bool = False
) -> IntervalTimetable | None:
    """The timetable of an option, a cron expression; None where it is "none": by hand alone. The
    option `schedule` is that of the hourly ones, and where it is "none" that of all.

    `after` are minutes beside the lateness, for what needs the runs of other DAGs of that time.
    `live` is for what acts on the present: at once, and no run is made up.
    """
    of_all = conf.get("covla", "schedule", fallback="")
    if of_all == "none" or default == HOURLY:
        default = of_all or default
    cron = conf.get("covla", option, fallback=default)
    if cron == "none":
        return None
    return (
        IntervalTimetable(cron, 0, 0)
        if live
        else IntervalTimetable(cron, LATENESS + after, CATCHUP)
    )
