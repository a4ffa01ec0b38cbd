"""`covla up --like-compose` and `covla exec`: docker-compose.yml without a container engine."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import orjson
import psutil

from covla.errors import CovlaError, ServiceUnavailable
from covla.settings import Settings
from services.compose import file, sandbox
from services.compose.file import Service
from services.compose.images import PATH, can_run, image_of
from services.compose.supervisor import ContainerStatus, Plan, as_argument, names
from services.running import recorded
from services.stack import processes
from services.stack.local import ServiceStatus

NAME = "docker-compose.yml"


def up(
    settings: Settings,
    compose: Path,
    *,
    profiles: Sequence[str],
    scale: Mapping[str, int],
    free_ports: bool,
    log: Callable[[str], None],
) -> None:
    """Run the services of a Compose file until SIGTERM or SIGINT; no process of it is left then.

    Args:
        profiles: beside the services that have none.
        scale: service -> number of containers, where it is not one.
        free_ports: publish on free ports, and not on those of the file.

    Raises:
        CovlaError: a secret or a program is missing, a port is taken, a service is not there.
        ServiceUnavailable: the supervisor ended by itself.
    """
    sandbox.check()
    compose = compose.absolute()
    services = _services(compose, profiles, scale, settings, log)
    folder = settings.state.absolute() / "compose"
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    processes.require_disk(folder)
    (folder / "status.json").unlink(missing_ok=True)
    plan = Plan(str(compose), str(folder), list(services), dict(scale), {})
    with recorded(settings, "compose", str(compose)), ExitStack() as stack:
        for place, listener in _listen(names(plan), services, free_ports=free_ports):
            plan.listeners[place] = stack.enter_context(listener).fileno()
        _supervise(plan, settings, log)


def _services(
    compose: Path,
    profiles: Sequence[str],
    scale: Mapping[str, int],
    settings: Settings,
    log: Callable[[str], None],
) -> dict[str, Service]:
    services = file.chosen(file.read(compose, os.environ), list(profiles))
    for name in list(services):
        if not can_run(services[name]):
            log(f"{name}: left out, {services[name].image} needs a container engine")
            del services[name]
        else:
            image_of(services[name], compose.parent, settings)
    for name, number in scale.items():
        if name not in services:
            raise CovlaError(f"--scale: there is no service {name!r}")
        if number > 1 and services[name].ports:
            raise CovlaError(f"--scale: {name} publishes a port, which one container can have")
    return services


def _listen(
    containers: Mapping[str, str], services: Mapping[str, Service], *, free_ports: bool
) -> Iterator[tuple[str, socket.socket]]:
    for name, service in containers.items():
        for host, outside, inside in services[service].ports:
            port = 0 if free_ports else outside
            try:
                listener = socket.create_server((host, port), backlog=128)
            except OSError:
                raise CovlaError(
                    f"{service}: port {outside} of {host} is taken",
                    hint="Stop what listens there, or publish with --free-ports",
                ) from None
            yield f"{name}:{inside}", listener


def _supervise(plan: Plan, settings: Settings, log: Callable[[str], None]) -> None:
    command = [*sandbox.unshare(), sys.executable, "-m", "services.compose.supervisor"]
    child = subprocess.Popen(
        [*command, as_argument(plan)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=settings.environment() | {"PYTHONUNBUFFERED": "1", "PATH": PATH},
        pass_fds=list(plan.listeners.values()),
        # Ctrl-C is for this process alone, which then closes the supervisor's input.
        start_new_session=True,
    )
    pid = Path(plan.folder) / "unshare.pid"
    pid.write_text(str(child.pid))
    stopping = threading.Event()

    def stop(*_: object) -> None:
        if stopping.is_set():
            child.kill()  # the namespaces end with it, and everything in them
        elif child.stdin is not None:
            stopping.set()
            child.stdin.close()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    last = ""
    try:
        assert child.stdout is not None
        for line in child.stdout:
            last = line.rstrip()
            log(last)
    finally:
        stop()
        code = child.wait()
        pid.unlink(missing_ok=True)
    if code and not stopping.is_set():
        raise ServiceUnavailable(f"the supervisor ended with code {code}: {last}")


def status(settings: Settings) -> dict[str, ContainerStatus]:
    """Every container by its name.

    Raises:
        ServiceUnavailable: nothing was started.
    """
    try:
        text = (settings.state.absolute() / "compose" / "status.json").read_bytes()
    except FileNotFoundError:
        raise _none_runs() from None
    return {name: ContainerStatus(**each) for name, each in orjson.loads(text).items()}


def _none_runs() -> ServiceUnavailable:
    return ServiceUnavailable("no container runs", hint="Start them with `covla up --like-compose`")


def states(settings: Settings) -> list[ServiceStatus]:
    """Each container as `services.stack.local.status` describes a process; none when none runs."""
    if not processes.running(settings, "compose"):
        return []
    statuses = []
    for name, each in status(settings).items():
        healthy = each.state in {"healthy", "running"} or each.code == 0
        address = "  ".join([*each.ports.values(), each.why]).strip()
        statuses.append(ServiceStatus(name, each.state, healthy, address, None, None, each.log))
    return statuses


def execute(
    settings: Settings, compose: Path, name: str, command: Sequence[str], **options: Any
) -> "subprocess.CompletedProcess[Any]":
    """Run a command in the container `name`, with its environment, as `docker compose exec` does.

    Raises:
        CovlaError: there is no such container.
        ServiceUnavailable: nothing runs.
    """
    containers = status(settings)
    # A service that is scaled stands for its first container, as with `docker compose exec`.
    name = next((c for c, each in containers.items() if name in {c, each.service}), name)
    if name not in containers:
        raise CovlaError(
            f"there is no container {name!r}", hint=f"There are {', '.join(containers)}"
        )
    folder = settings.state.absolute() / "compose"
    try:
        supervisor = psutil.Process(int((folder / "unshare.pid").read_text())).children()[0]
    except (FileNotFoundError, psutil.NoSuchProcess, IndexError):
        raise _none_runs() from None
    compose = compose.absolute()
    service = file.read(compose, os.environ)[containers[name].service]
    image = image_of(service, compose.parent, settings)
    user = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
    inside = ["nsenter", f"--target={supervisor.pid}", *user, "--net", "--mount", "--pid"]
    inside += sandbox.enter(service, image, name, compose.parent, folder)
    environment = sandbox.environment(service, image, name)
    nsenter = shutil.which("nsenter") or inside[0]
    return subprocess.run([nsenter, *inside[1:], *command], env=environment, check=False, **options)
