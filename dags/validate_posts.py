"""Every hour: hold the new posts against the expectations; good ones may teach."""

from collections.abc import Iterator

from airflow.sdk import Metadata, Param, dag, get_current_context, task
from verbs import SCHEDULE, VALIDATED, request, run_verb


@dag(
    schedule=SCHEDULE,
    catchup=False,
    max_active_runs=1,
    tags=["covla"],
    doc_md=__doc__,
    params={
        "window": Param(None, type=["null", "string"], description="START/END; default: the hour"),
        "train_window": Param(None, type=["null", "string"], description="Passed on to training"),
        "preset": Param(None, type=["null", "string"], description="Passed on to training"),
    },
)
def validate_posts() -> None:
    @task(outlets=[VALIDATED])
    def validate() -> Iterator[Metadata]:
        asked = request(get_current_context())
        run_verb("validate", "--window", asked["window"], minutes=20)
        yield Metadata(VALIDATED, extra=asked)

    validate()


validate_posts()
