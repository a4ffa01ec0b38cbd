"""After new teacher vectors, or after drift: train a challenger and let the gate decide."""

from typing import Any

from airflow.sdk import dag, get_current_context, task

from include.commands import DRIFT, GATE_SAID_NO, TEACHER, run_command
from include.time_ranges import request, time_range_params


@dag(
    schedule=(TEACHER | DRIFT),
    catchup=False,
    max_active_runs=1,
    tags=["covla"],
    doc_md=__doc__,
    params=time_range_params(),
)
def retrain_covla() -> None:
    @task
    def plan() -> dict[str, Any]:
        return request(get_current_context())

    @task
    def teach(asked: dict[str, Any]) -> dict[str, Any]:
        """After drift there are posts that no teacher has seen; known ones cost nothing."""
        return run_command("teach", "--window", asked["train_window"], minutes=240)

    @task
    def train(asked: dict[str, Any], taught: dict[str, Any]) -> str:
        del taught  # the vectors are in the feature store
        time_range, preset = asked["train_window"], asked["preset"]
        trained = run_command("train", "--window", time_range, "--preset", preset, minutes=600)
        return str(trained["folder"])

    @task
    def promote(asked: dict[str, Any], folder: str) -> dict[str, Any]:
        """The gate's no is an answer, not a failure: the champion stays."""
        return run_command(
            "promote",
            folder,
            "--window",
            asked["gate_window"],
            minutes=60,
            accept=(0, GATE_SAID_NO),
        )

    asked = plan()
    promote(asked, train(asked, teach(asked)))


retrain_covla()
