"""A run's losses and its data set to MLflow."""

from typing import Any

from transformers import TrainerCallback

from covla.registry.lineage import Lineage, data_set
from covla.settings import Settings


class _Logger(TrainerCallback):  # type: ignore[misc]
    """One MLflow run over both stages; steps go on counting from stage to stage."""

    def __init__(self, client: Any, run_id: str) -> None:
        self.client, self.run_id = client, run_id
        self.before = self.last = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.before = self.last

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        self.last = self.before + state.global_step
        for name, value in (logs or {}).items():
            if isinstance(value, int | float):
                self.client.log_metric(self.run_id, name, float(value), step=self.last)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.client.set_terminated(self.run_id)


def tracker(settings: Settings, lineage: Lineage) -> list[Any]:
    """The callback for `covla.training.run.train`: to COVLA_MLFLOW_URI, or the state folder.

    Raises:
        ServiceUnavailable: the address does not answer.
    """
    from covla.registry import mlflow_client

    client = mlflow_client.client(settings)
    with mlflow_client.translate_mlflow_errors(settings):
        run = client.create_run(mlflow_client.experiment_id(settings), run_name="training")
        client.log_inputs(run.info.run_id, [data_set(lineage)])
    return [_Logger(client, run.info.run_id)]
