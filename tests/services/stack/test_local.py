"""`covla up`, `status`, `ui` and `down` as a person runs them, on the real services."""

import socket
from pathlib import Path

import httpx
import psutil
import pytest

from covla.settings import Settings
from services.stack import ports
from tests.conftest import RunCommand


def _of_state(state: Path) -> list[str]:
    """Command lines of every process that was started for this state folder."""
    found = []
    for process in psutil.process_iter():
        try:
            owner = process.environ().get("COVLA_STATE")
            if owner == str(state) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


@pytest.mark.slow
def test_up_status_ui_down(run_command: RunCommand, tmp_path: Path) -> None:
    free = {f"{part}_port": ports.any_free() for part in ("kafka", "mlflow", "evidently")}
    state = tmp_path / "my 100% stäte #1 [a]?"
    settings = Settings(state=state, **free)
    try:
        up = run_command(settings, "up", "--json")
        assert up.returncode == 0, up.stderr
        assert set(up.json) == {"kafka", "mlflow", "evidently"}
        assert up.json["mlflow"].endswith(f":{settings.mlflow_port}")
        assert httpx.get(up.json["mlflow"], trust_env=False).status_code == 200
        experiments = f"{up.json['mlflow']}/api/2.0/mlflow/experiments/get?experiment_id=0"
        default = httpx.get(experiments, trust_env=False).json()["experiment"]
        assert default["artifact_location"].startswith((state / "mlflow").as_uri())
        assert "Evidently" in httpx.get(up.json["evidently"], trust_env=False).text

        again = run_command(settings, "up", "--json")
        assert again.json == up.json

        status = run_command(settings, "status", "--json")
        assert status.returncode == 0
        assert {name: part["healthy"] for name, part in status.json.items()} == {
            "kafka": True,
            "mlflow": True,
            "evidently": True,
        }
        assert set(run_command(settings, "ui", "--json").json) == {"mlflow", "evidently"}

        psutil.Process(status.json["kafka"]["pid"]).kill()
        dead = run_command(settings, "status", "--json")
        assert dead.returncode == 3
        assert "kafka is dead. Start it again with `covla up`" in dead.stderr
        assert dead.json["kafka"]["state"] == "dead"
        assert not dead.json["kafka"]["healthy"]
    finally:
        down = run_command(settings, "down", "--json")
    assert down.returncode == 0, down.stderr
    assert set(down.json["stopped"]) == {"kafka", "mlflow", "evidently"}
    assert _of_state(state) == []
    assert not list(settings.run.glob("*.json"))
    assert list(tmp_path.iterdir()) == [state]
    assert run_command(settings, "down", "--json").json == {"stopped": []}
    assert run_command(settings, "status", "--json").json == {}


@pytest.mark.parametrize("part", ["mlflow", pytest.param("kafka", marks=pytest.mark.slow)])
def test_a_taken_port_is_one_line_and_exit_code_2(
    run_command: RunCommand, tmp_path: Path, part: str
) -> None:
    with socket.socket() as listener:
        listener.bind((ports.LOOPBACK, 0))
        listener.listen()
        port = listener.getsockname()[1]
        settings = Settings(state=tmp_path).model_copy(update={f"{part}_port": port})
        done = run_command(settings, "up", part)
    assert done.returncode == 2
    assert done.stderr.strip() == (
        f"covla: port {port} of 127.0.0.1 is taken. "
        f"Stop what listens there, or set COVLA_{part.upper()}_PORT to another port"
    )
    assert done.stdout == ""


def test_services_that_run_elsewhere_are_not_started(
    run_command: RunCommand, tmp_path: Path
) -> None:
    settings = Settings(state=tmp_path, kafka_bootstrap="broker:9092", mlflow_uri="http://mlflow")
    for part in ("kafka", "mlflow"):
        done = run_command(settings, "up", part)
        assert done.returncode == 2
        assert "of its own. Unset it" in done.stderr
