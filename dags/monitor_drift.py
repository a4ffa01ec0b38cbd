"""Every hour: has a modality drifted from what the champion was trained on?

An hour with too few posts to tell is skipped, with the reason.
"""

from collections.abc import Iterator

from airflow.sdk import Metadata, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from include.commands import DRIFT, SCHEDULE, covla_dag, run_command
from include.time_ranges import request, time_range_params


@covla_dag(schedule=SCHEDULE, doc_md=__doc__, params=time_range_params())
def monitor_drift() -> None:
    @task(outlets=[DRIFT])
    def drift() -> Iterator[Metadata]:
        requested = request(get_current_context())
        report = run_command("drift", "--window", requested["window"], minutes=20)
        if not report["drift"]:
            raise AirflowSkipException("no modality drifted")
        yield Metadata(DRIFT, extra=requested | {"drift_modality": report["drift_modality"]})

    drift()


monitor_drift()
