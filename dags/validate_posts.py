"""Every hour: check the new posts against the expectations; good ones may train.

An hour without a post is skipped.
"""

from collections.abc import Iterator

from airflow.sdk import Metadata, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from include.commands import REFUSED, SCHEDULE, VALIDATED, CommandFailed, covla_dag, run_command
from include.time_ranges import request, time_range_params


@covla_dag(schedule=SCHEDULE, doc_md=__doc__, params=time_range_params())
def validate_posts() -> None:
    @task(outlets=[VALIDATED])
    def validate() -> Iterator[Metadata]:
        requested = request(get_current_context())
        arguments = ("validate", "--window", requested["window"])
        validation = run_command(*arguments, minutes=20, accept=(0, REFUSED))
        if not validation["rows"]:
            raise AirflowSkipException(f"no post in the window {validation['window']}")
        if not validation["success"]:
            broken = [row for row in validation["expectations"] if not row["ok"]]
            names = "; ".join(f"{row['column']}: {row['expectation']}" for row in broken)
            raise CommandFailed(f"covla validate: {names}; see {validation['report']}")
        yield Metadata(VALIDATED, extra=requested)

    validate()


validate_posts()
