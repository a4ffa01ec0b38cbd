"""docker-compose.yml names what is there: settings, verbs and their options, versions, drivers."""

import re
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import sqlalchemy
import yaml

from covla.cli import covla
from covla.settings import Settings
from services.stack import jars

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}


def test_every_variable_of_ours_is_a_setting_that_takes_its_value(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given = COMPOSE["x-covla"]["environment"] | {"COVLA_STATE": str(tmp_path)}
    for name, value in given.items():
        assert name.removeprefix("COVLA_").lower() in Settings.model_fields
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert settings.kafka_bootstrap == "kafka:9092"
    assert settings.topic_partitions == 12


@pytest.mark.parametrize("name", sorted(OURS))
def test_every_command_can_be_run(name: str) -> None:
    service = OURS[name]
    if program := service.get("entrypoint"):
        assert Path(sys.executable).with_name(program[0]).exists()
        return
    verb, *arguments = service["command"]
    shell = click.Context(covla)
    command = covla.get_command(shell, verb)
    assert command is not None
    command.make_context(verb, list(arguments), parent=shell)  # unknown options are an error


def test_services_wait_for_those_that_say_how_they_are() -> None:
    for service in SERVICES.values():
        for name, how in service.get("depends_on", {}).items():
            assert how == {"condition": "service_healthy"}
            assert "healthcheck" in SERVICES[name]


def test_databases_have_their_driver() -> None:
    addresses = re.findall(r"postgresql\S+@postgres/\w+", TEXT)
    assert len(addresses) == 2
    for address in addresses:
        plain = re.sub(r"\$\{.*?\}", "secret", address)
        assert sqlalchemy.make_url(plain).get_dialect().import_dbapi()


def test_the_broker_is_the_one_that_is_tested() -> None:
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{jars.VERSION}"


def test_what_must_be_set_is_in_the_runbook() -> None:
    runbook = (ROOT / "docs" / "runbook.md").read_text()
    asked = set(re.findall(r"\$\{(\w+)", TEXT))
    assert asked
    for name in asked:
        assert f"| `{name}` |" in runbook
