"""After validation: what the teacher says of the posts of the training window, into the store."""

from collections.abc import Iterator

from airflow.sdk import Metadata, dag, get_current_context, task
from verbs import TEACHER, VALIDATED, run_verb
from windows import request


@dag(schedule=[VALIDATED], catchup=False, max_active_runs=1, tags=["covla"], doc_md=__doc__)
def distill_teacher() -> None:
    @task(outlets=[TEACHER])
    def teach() -> Iterator[Metadata]:
        asked = request(get_current_context())
        run_verb("teach", "--window", asked["train_window"], minutes=240)
        yield Metadata(TEACHER, extra=asked)

    teach()


distill_teacher()
