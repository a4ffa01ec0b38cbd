"""docker-compose.yml as dataclasses: the part of the Compose specification that the file uses."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from dotenv import dotenv_values

from covla.errors import CovlaError

_VARIABLE = re.compile(r"\$(?:\$|\{(\w+)(?:(:?[-?])([^}]*))?\})")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
# Any other key of a service would not be rehearsed: it is refused, not passed over.
_SUPPORTED = {
    "image", "build", "entrypoint", "command", "environment", "volumes", "tmpfs", "ports",
    "depends_on", "healthcheck", "init", "restart", "profiles", "read_only",
    "stop_grace_period",
}  # fmt: skip
# Held by a container engine alone; docs/production.md names them as not rehearsed.
ENGINE_ONLY = {"cap_drop", "deploy", "logging", "security_opt"}


@dataclass(frozen=True)
class Health:
    """A health check; times in seconds."""

    command: list[str]
    interval: float
    timeout: float
    retries: int
    start_period: float
    start_interval: float


@dataclass(frozen=True)
class Mount:
    """A folder or file of a container: a named volume, or a path beside the Compose file."""

    source: str
    target: str
    read_only: bool

    @property
    def named(self) -> bool:
        """Whether `source` is a volume's name."""
        return not self.source.startswith((".", "/"))


@dataclass(frozen=True)
class Service:
    """One service with its variables filled in."""

    name: str
    image: str
    built: bool
    entrypoint: list[str] | None
    command: list[str] | None
    environment: dict[str, str]
    mounts: list[Mount]
    tmpfs: list[str]
    ports: list[tuple[str, int, int]]  # host address, host port, port of the container
    needs: dict[str, str]  # service -> service_healthy | service_completed_successfully | ...
    health: Health | None
    restart: str
    profiles: list[str] = field(default_factory=list)
    read_only: bool = False
    init: bool = False  # a first process beside the command, which reaps and passes signals on
    grace: float = 10.0


def read(path: Path, environment: Mapping[str, str]) -> dict[str, Service]:
    """The services of a Compose file, by name; variables come from `environment`, else from .env.

    Raises:
        CovlaError: a required variable is missing, or the file uses what is not supported here.
    """
    values = dotenv_values(path.with_name(".env"), interpolate=False) | dict(environment)
    try:
        services = yaml.safe_load(path.read_text())["services"]
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise CovlaError(f"{path} is no Compose file: {error}") from None
    return {name: _service(name, _fill(given, values)) for name, given in services.items()}


def chosen(services: Mapping[str, Service], profiles: list[str]) -> dict[str, Service]:
    """Those without a profile, and those of `profiles`.

    Raises:
        CovlaError: no service has such a profile.
    """
    known = {profile for service in services.values() for profile in service.profiles}
    if unknown := set(profiles) - known:
        raise CovlaError(
            f"no service has the profile {', '.join(sorted(unknown))}",
            hint=f"There are {', '.join(sorted(known))}",
        )
    return {
        name: service
        for name, service in services.items()
        if not service.profiles or set(service.profiles) & set(profiles)
    }


def _fill(given: Any, values: Mapping[str, str | None]) -> Any:
    if isinstance(given, dict):
        return {key: _fill(value, values) for key, value in given.items()}
    if isinstance(given, list):
        return [_fill(value, values) for value in given]
    return _VARIABLE.sub(lambda m: _value(m, values), given) if isinstance(given, str) else given


def _value(match: re.Match[str], values: Mapping[str, str | None]) -> str:
    name, operator, word = match.groups()
    if name is None:
        return "$"
    if value := values.get(name):
        return value
    if operator and operator.endswith("?"):
        raise CovlaError(f"{name} is not set", hint=word[:1].upper() + word[1:])
    return word or ""


def _service(name: str, given: dict[str, Any]) -> Service:
    if odd := given.keys() - _SUPPORTED - ENGINE_ONLY:
        raise CovlaError(f"service {name}: {', '.join(sorted(odd))} is not supported here")
    needs = given.get("depends_on", {})
    checked = given.get("healthcheck")
    return Service(
        name=name,
        image=given["image"],
        built="build" in given,
        entrypoint=_words(given.get("entrypoint")),
        command=_words(given.get("command")),
        environment={key: str(value) for key, value in given.get("environment", {}).items()},
        mounts=[_mount(mount) for mount in given.get("volumes", [])],
        tmpfs=list(given.get("tmpfs", [])),
        ports=[_port(name, port) for port in given.get("ports", [])],
        needs={other: how["condition"] for other, how in needs.items()},
        health=_health(checked) if checked else None,
        restart=given.get("restart", "no"),
        profiles=list(given.get("profiles", [])),
        read_only=bool(given.get("read_only")),
        init=bool(given.get("init")),
        grace=_seconds(given.get("stop_grace_period", "10s")),
    )


def _words(given: Any) -> list[str] | None:
    if given is None:
        return None
    return shlex.split(given) if isinstance(given, str) else [str(word) for word in given]


def _mount(given: str) -> Mount:
    source, target, *mode = given.split(":")
    return Mount(source, target, mode == ["ro"])


def _port(name: str, given: str) -> tuple[str, int, int]:
    match given.split(":"):
        case [host, outside, inside]:
            return host, int(outside), int(inside)
    raise CovlaError(f"service {name}: port {given!r} names no host address", hint="Name 127.0.0.1")


def _health(given: dict[str, Any]) -> Health:
    kind, *command = given["test"]
    return Health(
        command=["sh", "-c", *command] if kind == "CMD-SHELL" else command,
        interval=_seconds(given.get("interval", "30s")),
        timeout=_seconds(given.get("timeout", "30s")),
        retries=int(given.get("retries", 3)),
        start_period=_seconds(given.get("start_period", "0s")),
        start_interval=_seconds(given.get("start_interval", "5s")),
    )


def _seconds(given: str) -> float:
    parts = re.findall(r"(\d+)(ms|s|m|h)", given)
    return sum(int(number) * _SECONDS[unit] for number, unit in parts)
