"""After validation: the teacher's vectors of the posts to train on, into the feature store."""

from collections.abc import Iterator

from airflow.sdk import Metadata, get_current_context, task

from include.commands import TEACHER, VALIDATED, covla_dag, run_command
from include.time_ranges import request


@covla_dag(schedule=[VALIDATED], doc_md=__doc__)
def distill_teacher() -> None:
    @task(outlets=[TEACHER])
    def teach() -> Iterator[Metadata]:
        requested = request(get_current_context())
        run_command("teach", "--window", requested["train_window"], minutes=240)
        yield Metadata(TEACHER, extra=requested)

    teach()


distill_teacher()
