"""`covla up --like-compose`: what a missing, taken or wrong thing says; small Compose files."""

import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from covla.settings import Settings
from services.compose import images, network
from tests.conftest import Command, RunCommand
from tests.rehearsed import ROOT, needs_namespaces, rehearsal, secrets

slow = pytest.mark.slow


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The Compose file and what it names, with secrets."""
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ("deploy", "monitoring", "docker-compose.yml"):
        (folder / name).symlink_to(ROOT / name)
    secrets(folder / ".env")
    return folder


def keep(folder: Path, **services: dict[str, Any]) -> None:
    """Of the Compose file these services alone, each with what differs."""
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    kept = {name: compose["services"][name] | given for name, given in services.items()}
    (folder / "docker-compose.yml").unlink()
    (folder / "docker-compose.yml").write_text(yaml.safe_dump({"services": kept}))


def up(settings: Settings, folder: Path, *options: str, path: str | None = None) -> Command:
    environment = settings.environment() | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "covla.cli", "up", *(options or ("--like-compose",))],
        cwd=folder,
        env=environment | ({"PATH": path} if path else {}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Command(done.args, done.returncode, done.stdout, done.stderr)


@needs_namespaces
def test_a_missing_secret_is_one_line(offline_settings: Settings, folder: Path) -> None:
    (folder / ".env").write_text("COVLA_AUTHOR_KEY=key\n")
    done = up(offline_settings, folder)
    assert done.returncode == 2
    assert done.stderr == "covla: POSTGRES_PASSWORD is not set. Run `make env` first\n"


@needs_namespaces
def test_a_port_in_use_is_named_with_its_service(offline_settings: Settings, folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        keep(folder, valkey={"ports": [f"127.0.0.1:{port}:6379"]})
        done = up(offline_settings, folder)
    assert done.returncode == 2
    assert f"covla: valkey: port {port} of 127.0.0.1 is taken. Stop what" in done.stderr


@needs_namespaces
@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("--profile", "gpus"), "no service has the profile gpus. There are airflow, gpu, mon"),
        (("--scale", "streams=2"), "--scale: there is no service 'streams'"),
        (("--scale", "rest=2"), "--scale: rest publishes a port, which one container can have"),
        (("--scale", "stream=some"), "--scale: 'stream=some' is not SERVICE=N"),
    ],
)
def test_what_the_file_does_not_have_is_refused(
    options: tuple[str, ...], line: str, offline_settings: Settings, folder: Path
) -> None:
    done = up(offline_settings, folder, "--like-compose", *options)
    assert done.returncode == 2
    assert line in done.stderr


def test_a_folder_without_the_file_and_a_machine_without_the_programs(
    offline_settings: Settings, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    done = up(offline_settings, empty, path=str(empty))
    assert done.returncode == 2
    assert re.search("Install the packages bubblewrap .*util-linux$", done.stderr.strip())
    assert "go with --like-compose" in up(offline_settings, empty, "--free-ports").stderr


@needs_namespaces
def test_nothing_to_enter(run_command: RunCommand, offline_settings: Settings) -> None:
    done = run_command(offline_settings, "exec", "ingest", "true")
    assert done.returncode == 3
    assert "no container runs. Start them with `covla up --like-compose`" in done.stderr


@needs_namespaces
def test_the_name_server_starts_in_a_user_namespace_too(tmp_path: Path) -> None:
    (tmp_path / "names").write_text("10.89.0.10 ingest ingest-1\n10.89.0.11 ingest ingest-2\n")
    server = shlex.join(network.name_server(tmp_path))
    address = f"ip link set lo up && ip addr add {network.GATEWAY}/24 dev lo"
    command = ["unshare", "--user", "--map-root-user", "--net", "sh", "-c"]
    done = subprocess.run(
        [*command, f"{address} && timeout 1 {server}"],
        env={"PATH": images.PATH},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 124, done.stderr  # it served until its time was over


@slow
@needs_namespaces
def test_a_wrong_password_of_postgres_is_told_and_nothing_hangs(
    offline_settings: Settings, folder: Path
) -> None:
    patient = {"interval": "1s", "start_period": "5s", "start_interval": "1s", "retries": 2}
    check = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    test = check["services"]["postgres"]["healthcheck"]["test"]
    health = {"healthcheck": patient | {"test": test, "timeout": "5s"}}
    keep(folder, postgres=health, mlflow={})
    with rehearsal(offline_settings, folder, {}) as running:
        running.wait("postgres")
    with rehearsal(offline_settings, folder, {"POSTGRES_PASSWORD": "another"}) as running:
        running.wait("postgres", state="unhealthy", timeout=60)
        line = running.told("postgres: unhealthy")
        assert "password authentication failed" in line
        assert running.status["mlflow"]["state"] == "created"
        assert running.told("mlflow: waits for postgres")


@slow
@needs_namespaces
def test_a_worker_without_kafka_says_one_line_and_is_not_healthy(
    offline_settings: Settings, folder: Path
) -> None:
    keep(folder, ingest={"depends_on": {}})
    with rehearsal(offline_settings, folder, {}) as running:
        line = running.told("ingest: ended with code 3")
        assert "covla: no Kafka broker answers at kafka:9092" in line
        assert running.status["ingest"]["state"] in {"restarting", "starting"}


@slow
@needs_namespaces
def test_containers_are_apart_and_without_rights(offline_settings: Settings, folder: Path) -> None:
    keep(folder, valkey={}, ingest={"depends_on": {}, "entrypoint": ["sleep", "600"]})
    options = ("--scale", "ingest=2")
    with rehearsal(offline_settings, folder, {"OF_THE_MACHINE": "yes"}, *options) as running:
        running.wait("valkey")
        assert running.exec("valkey", "valkey-cli", "-h", "valkey", "ping") == "PONG\n"
        # The Compose file's folder is there, though it lies in this machine's /tmp.
        assert "deploy" in running.exec("ingest-1", "ls", str(folder))
        look_up = "import socket; print(*sorted(socket.gethostbyname_ex('ingest')[2]))"
        both = running.exec("ingest-1", "python", "-c", look_up).split()
        assert both == [running.status[name]["address"] for name in ("ingest-1", "ingest-2")]
        seen = running.exec("ingest-2", "sh", "-c", "id -u; hostname; ls /proc | grep -c ^1$; env")
        user, host, processes, *variables = seen.splitlines()
        assert (user, host, processes) == ("10001", "ingest-2", "1")
        assert "COVLA_STATE=/state" in variables
        assert not any(line.startswith("OF_THE_MACHINE") for line in variables)
        written = "touch /state/x && echo state; touch /x 2>&1; touch /app/x 2>&1; touch /tmp/x"
        assert running.exec("ingest-1", "sh", "-c", written).splitlines()[0] == "state"
        assert "/x': Read-only" in running.exec("ingest-1", "sh", "-c", written)
        assert (offline_settings.state / "compose/volumes/state/x").exists()
        assert not (ROOT / "x").exists()
