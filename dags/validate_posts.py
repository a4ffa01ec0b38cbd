"""Every hour: check the new posts against the expectations; bad rows train no model.

An hour without a post is skipped.
"""

from collections.abc import Iterator

from airflow.sdk import Metadata, get_current_context, task

from include.clock import HOURLY, clock, covla_dag
from include.commands import REFUSED, VALIDATED, run_command
from include.failures import Alerted
from include.notes import note, skip
from include.time_ranges import posts_of, request, time_range_params

VERDICT = ("window", "success", "rows", "quarantined", "failed", "warned", "report")


@covla_dag(schedule=clock("validate_schedule", HOURLY), doc_md=__doc__, params=time_range_params())
def validate_posts() -> None:
    @task(outlets=[VALIDATED])
    def validate() -> Iterator[Metadata]:
        context = get_current_context()
        requested = request(context)
        validation = run_command("validate", *posts_of(requested), minutes=20, accept=(0, REFUSED))
        if not validation["rows"]:
            skip(f"no post in the window {validation['window']}")
        # However the task ends, and without every expectation: those are in the report.
        context["ti"].xcom_push("return_value", {name: validation[name] for name in VERDICT})
        if not validation["success"]:
            why = "; ".join(validation["failed"])
            note(f"{why}; {validation['report']}")
            raise Alerted(f"covla validate: {why}; see {validation['report']}")
        if validation["warned"]:
            note(f"warned: {'; '.join(validation['warned'])}; {validation['report']}")
        yield Metadata(VALIDATED, extra=requested)

    validate()


validate_posts()
