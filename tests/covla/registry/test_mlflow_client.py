"""MLflow's database and files lie in the state folder, whatever that folder is called."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from covla.registry import mlflow_client
from covla.settings import Settings

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["my 100% stäte #1 [a]?", "a%20b '\""])
def test_runs_files_and_versions_are_found_again(tmp_path: Path, name: str) -> None:
    settings = Settings(state=tmp_path / "here" / name)
    given = tmp_path / "given"
    given.mkdir()
    (given / "weights").write_bytes(b"content")
    assert not mlflow_client.is_initialised(settings)
    client = mlflow_client.client(settings)
    run = client.create_run(mlflow_client.experiment_id(settings)).info.run_id
    client.log_artifacts(run, str(given), "model")
    client.create_registered_model("covla")
    client.create_model_version("covla", f"runs:/{run}/model", run)
    got = Path(client.download_artifacts(run, "model", str(tmp_path)))
    assert (got / "weights").read_bytes() == b"content"
    assert client.get_model_version("covla", "1").run_id == run
    assert mlflow_client.is_initialised(settings)
    assert [path.name for path in (tmp_path / "here").iterdir()] == [name]


def test_a_client_of_a_server_does_not_import_feast() -> None:
    code = (
        "import sys\nfrom covla.settings import Settings\n"
        "from covla.registry import mlflow_client\n"
        "try:\n    mlflow_client.client(Settings(mlflow_uri='http://127.0.0.1:9')).search_experiments()\n"
        "except Exception as error: print(type(error).__name__)\n"
        "print('feast' in sys.modules, 'mlflow.tracking.request_header.registry' in sys.modules)"
    )
    environment = os.environ | {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout.split()[-2:] == ["False", "True"], done.stdout + done.stderr
