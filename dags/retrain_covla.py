"""After new teacher vectors, or after drift: train a challenger and let the gate decide."""

from airflow.sdk import get_current_context, task

from include.commands import DRIFT, REFUSED, TEACHER, Result, covla_dag, run_command
from include.time_ranges import Request, request, time_range_params


@covla_dag(schedule=TEACHER | DRIFT, doc_md=__doc__, params=time_range_params())
def retrain_covla() -> None:
    @task
    def plan() -> Request:
        return request(get_current_context())

    @task
    def teach(requested: Request) -> Result:
        """After drift there are posts that no teacher has seen; known ones cost nothing."""
        return run_command("teach", "--window", requested["train_window"], minutes=240)

    @task
    def train(requested: Request, distilled: Result) -> str:
        del distilled  # the vectors are in the feature store
        time_range, preset = requested["train_window"], requested["preset"]
        trained = run_command("train", "--window", time_range, "--preset", preset, minutes=600)
        return str(trained["folder"])

    @task
    def promote(requested: Request, folder: str) -> Result:
        """A refusal by the gate is no failure: the champion stays."""
        return run_command(
            "promote", folder, "--window", requested["gate_window"], minutes=60, accept=(0, REFUSED)
        )

    requested = plan()
    promote(requested, train(requested, teach(requested)))


retrain_covla()
