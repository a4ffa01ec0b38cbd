"""Every day: the teacher's vectors of the posts to train on, into the feature store.

What was asked before is cached by content, so a day asks about its new posts alone, and a run that
was cut off goes on where it was.
"""

from collections.abc import Iterator

from airflow.sdk import Metadata, get_current_context, task

from include.clock import GPU_POOL, clock, covla_dag
from include.commands import TEACHER, run_command
from include.time_ranges import model_of, posts_of, request, time_range_params


@covla_dag(
    schedule=clock("distill_schedule", "0 2 * * *", after=20),
    doc_md=__doc__,
    params=time_range_params(),
)
def distill_teacher() -> None:
    @task(outlets=[TEACHER], pool=GPU_POOL)
    def teach() -> Iterator[Metadata]:
        requested = request(get_current_context())
        options = posts_of(requested, "train_window") + model_of(requested)
        run_command("teach", *options, minutes=240)
        yield Metadata(TEACHER, extra=requested)

    teach()


distill_teacher()
