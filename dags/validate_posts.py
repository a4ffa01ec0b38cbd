"""Every hour: hold the new posts against the expectations; good ones may teach.

An hour without a post is skipped.
"""

from collections.abc import Iterator

from airflow.sdk import Metadata, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from include.commands import GATE_SAID_NO, SCHEDULE, VALIDATED, CommandFailed, run_command
from include.time_ranges import request, time_range_params


@dag(
    schedule=SCHEDULE,
    catchup=False,
    max_active_runs=1,
    tags=["covla"],
    doc_md=__doc__,
    params=time_range_params(),
)
def validate_posts() -> None:
    @task(outlets=[VALIDATED])
    def validate() -> Iterator[Metadata]:
        asked = request(get_current_context())
        arguments = ("validate", "--window", asked["window"])
        found = run_command(*arguments, minutes=20, accept=(0, GATE_SAID_NO))
        if not found["rows"]:
            raise AirflowSkipException(f"no post in the window {found['window']}")
        if not found["success"]:
            broken = [row for row in found["expectations"] if not row["ok"]]
            names = "; ".join(f"{row['column']}: {row['expectation']}" for row in broken)
            raise CommandFailed(f"covla validate: {names}; see {found['report']}")
        yield Metadata(VALIDATED, extra=asked)

    validate()


validate_posts()
