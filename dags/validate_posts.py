"""Every hour: hold the new posts against the expectations; good ones may teach."""

from collections.abc import Iterator

from airflow.sdk import Metadata, dag, get_current_context, task
from verbs import SCHEDULE, VALIDATED, run_verb
from windows import request, window_params


@dag(
    schedule=SCHEDULE,
    catchup=False,
    max_active_runs=1,
    tags=["covla"],
    doc_md=__doc__,
    params=window_params(),
)
def validate_posts() -> None:
    @task(outlets=[VALIDATED])
    def validate() -> Iterator[Metadata]:
        asked = request(get_current_context())
        run_verb("validate", "--window", asked["window"], minutes=20)
        yield Metadata(VALIDATED, extra=asked)

    validate()


validate_posts()
