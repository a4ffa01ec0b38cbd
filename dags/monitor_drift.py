"""Every hour: has a modality drifted from what the champion was trained on?

An hour with too few posts to tell is skipped, with the reason.
"""

from collections.abc import Iterator

from airflow.sdk import Metadata, get_current_context, task

from include.clock import clock, covla_dag
from include.commands import DRIFT, run_command
from include.notes import note, skip
from include.time_ranges import posts_of, request, time_range_params


@covla_dag(schedule=clock("schedule", "@hourly"), doc_md=__doc__, params=time_range_params())
def monitor_drift() -> None:
    @task(outlets=[DRIFT])
    def drift() -> Iterator[Metadata]:
        requested = request(get_current_context())
        report = run_command("drift", *posts_of(requested), minutes=20)
        if not report["drift"]:
            skip("no modality drifted")
        note(f"drift: {report['drift_modality']}; {report['report']}")
        yield Metadata(DRIFT, extra=requested | {"drift_modality": report["drift_modality"]})

    drift()


monitor_drift()
