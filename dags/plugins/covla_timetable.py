"""The clock of the DAGs: each run works on an interval of its own (ADR 22).

Airflow loads this from its plugins folder: the scheduler has to know the class too.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.plugins_manager import AirflowPlugin
from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction
from airflow.timetables.interval import CronDataIntervalTimetable
from pendulum import DateTime, instance


def _now() -> DateTime:
    return instance(datetime.now(UTC))


class IntervalTimetable(CronDataIntervalTimetable):
    """Intervals between the times of a cron expression, in UTC.

    Args:
        cron: five fields, or a preset such as @hourly.
        lateness: minutes from the end of an interval to its run, so that late posts are in it.
        catchup: hours. After an outage, intervals that ended longer ago are not run, but the last
            one always is; a new DAG begins with it. `airflow backfill create` runs any.
    """

    def __init__(self, cron: str, lateness: float, catchup: int) -> None:
        super().__init__(cron, "UTC")
        self.lateness = lateness
        self.catchup = catchup

    def serialize(self) -> dict[str, Any]:
        return {"cron": self._expression, "lateness": self.lateness, "catchup": self.catchup}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> "IntervalTimetable":
        return cls(**data)

    def next_dagrun_info(
        self,
        *,
        last_automated_data_interval: DataInterval | None,
        restriction: TimeRestriction,
    ) -> DagRunInfo | None:
        late = timedelta(minutes=self.lateness)
        # A backfill names an end, the scheduler none: no DAG here has an end date.
        if restriction.latest is None:
            now = _now() - late
            last = self._get_prev(self._align_to_prev(now))
            first = self._align_to_next(now - timedelta(hours=self.catchup))
            bound = last if last_automated_data_interval is None else min(first, last)
            earliest = max(bound, restriction.earliest or bound)
            restriction = restriction._replace(earliest=earliest)
        info = super().next_dagrun_info(
            last_automated_data_interval=last_automated_data_interval, restriction=restriction
        )
        if info is None or info.data_interval is None:
            return None
        return info._replace(run_after=info.data_interval.end + late)

    def infer_manual_data_interval(self, *, run_after: Any) -> DataInterval:
        return super().infer_manual_data_interval(
            run_after=run_after - timedelta(minutes=self.lateness)
        )


class CovlaTimetable(AirflowPlugin):
    """Registers the class."""

    name = "covla_timetable"
    timetables = (IntervalTimetable,)
