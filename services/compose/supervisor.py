"""Runs the containers of a Compose file in the order of `depends_on`, until its input closes.

A process of its own in namespaces of its own; services/compose/rehearsal.py starts it.
"""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from select import select

import orjson

from covla.errors import CovlaError
from covla.files import write_bytes_aside
from covla.settings import Settings
from services.compose import file, network, sandbox
from services.compose.container import Container
from services.compose.forward import Published, forward
from services.compose.images import image_of

TICK_SECONDS = 0.1
QUIET_SECONDS = 20.0


@dataclass(frozen=True)
class Plan:
    """What to run, and where."""

    compose: str  # the file
    folder: str  # for logs, volumes and status.json
    services: list[str]
    scale: dict[str, int]
    listeners: dict[str, int]  # "container:port" -> file descriptor of a listening socket


@dataclass(frozen=True)
class ContainerStatus:
    """One container in status.json."""

    service: str
    state: str
    why: str
    code: int | None
    address: str
    ports: dict[str, str]  # port of the container -> where it is published
    restarts: int
    log: str


class Supervisor:
    """The containers of a plan."""

    def __init__(self, plan: Plan, settings: Settings, log: Callable[[str], None]) -> None:
        self.folder = Path(plan.folder)
        self._log = log
        self._states: dict[str, str] = {}
        self._ports: dict[str, dict[str, str]] = {}
        self._began = time.monotonic()
        root = Path(plan.compose).parent
        services = file.read(Path(plan.compose), os.environ)
        self.services = {name: services[name] for name in plan.services}
        containers = names(plan)
        self._addresses = network.addresses(list(containers))
        network.build(self._addresses, containers, self.folder)
        self._names = self._serve_names()
        self.containers = {
            name: self._container(name, self.services[service], root, settings)
            for name, service in containers.items()
        }
        forward(self._published(plan))

    def _serve_names(self) -> "subprocess.Popen[bytes]":
        log = (self.folder / "logs" / "names.log").open("ab")
        with log:
            return subprocess.Popen(network.name_server(self.folder), stdout=log, stderr=log)

    def _container(
        self, name: str, service: file.Service, root: Path, settings: Settings
    ) -> Container:
        image = image_of(service, root, settings)
        for mount in service.mounts:
            if mount.named:
                sandbox.source_of(mount, root, self.folder).mkdir(parents=True, exist_ok=True)
        return Container(
            name,
            service,
            enter=sandbox.enter(service, image, name, root, self.folder),
            command=sandbox.main_command(service, image),
            environment=sandbox.environment(service, image, name),
            log=self.folder / "logs" / f"{name}.log",
        )

    def _published(self, plan: Plan) -> list[Published]:
        published = []
        for name, container in self.containers.items():
            for _, _, port in container.service.ports:
                listener = socket.socket(fileno=plan.listeners[f"{name}:{port}"])
                published.append((listener, self._addresses[name], port))
                host, outside = listener.getsockname()
                self._ports.setdefault(name, {})[str(port)] = f"{host}:{outside}"
        return published

    def run(self) -> None:
        """Until standard input ends; then stop everything, last started first."""
        announced = False
        while not select([sys.stdin], [], [], TICK_SECONDS)[0]:
            for container in self.containers.values():
                if container.state == "created":
                    if self._ready_for(container):
                        container.start()
                else:
                    container.tick()
            self._report()
            if not announced and all(map(_settled, self.containers.values())):
                announced = True
                self._log(f"everything is up after {time.monotonic() - self._began:.0f} s")
        self._stop()

    def _ready_for(self, container: Container) -> bool:
        for name, condition in container.service.needs.items():
            needed = [c for c in self.containers.values() if c.service.name == name]
            if not needed:
                continue  # of a profile that was not chosen
            good = {
                "service_healthy": lambda c: c.state == "healthy",
                "service_completed_successfully": lambda c: c.state == "exited" and c.code == 0,
                "service_started": lambda c: c.up,
            }[condition]
            if not all(map(good, needed)):
                return False
        return True

    def _report(self) -> None:
        changed = False
        for name, container in self.containers.items():
            state = _sentence(container)
            if self._states.get(name) == state:
                continue
            changed = True
            self._states[name] = state
            self._log(f"{name}: {state}")
        if changed:
            self._write()

    def _write(self) -> None:
        status = {name: self._status(name, each) for name, each in self.containers.items()}
        write_bytes_aside(self.folder / "status.json", orjson.dumps(status))

    def _status(self, name: str, each: Container) -> ContainerStatus:
        state = (each.service.name, each.state, each.why, each.code)
        place = (self._addresses[name], self._ports.get(name, {}))
        return ContainerStatus(*state, *place, each.restarts, str(each.log))

    def _stop(self) -> None:
        order = sorted(self.containers.values(), key=lambda c: c.started_at, reverse=True)
        stopped: set[str] = set()
        while len(stopped) < len(order):
            # Those that nobody who still runs depends on.
            needed = {n for c in order if c.name not in stopped for n in c.service.needs}
            wave = [c for c in order if c.name not in stopped and c.service.name not in needed]
            for container in wave:
                container.terminate()
            for container in wave:
                late = not container.ends_within(container.service.grace)
                container.kill()
                stopped.add(container.name)
                self._log(f"{container.name}: stopped" + (" by SIGKILL" if late else ""))
        self._names.terminate()
        self._names.wait()


def names(plan: Plan) -> dict[str, str]:
    """Container -> service: "stream" alone, or "stream-1", "stream-2" when scaled."""
    containers = {}
    for service in plan.services:
        number = plan.scale.get(service, 1)
        if number == 1:
            containers[service] = service
        else:
            containers |= {f"{service}-{i}": service for i in range(1, number + 1)}
    return containers


def _settled(container: Container) -> bool:
    return container.state in {"healthy", "running"} or (
        container.state == "exited" and container.code == 0
    )


def _sentence(container: Container) -> str:
    why = f": {container.why}" if container.why else ""
    match container.state:
        case "created":
            return "waits for " + (", ".join(container.service.needs) or "nothing")
        case "healthy":
            return f"healthy after {container.took:.1f} s"
        case "restarting":
            return f"ended with code {container.code} and is started again{why}"
        case "exited":
            return f"ended with code {container.code}" + (why if container.code else "")
        case "starting":
            # The reason of every start, for a moment, is not worth a line.
            late = time.monotonic() - container.started_at > QUIET_SECONDS
            return f"starting{why}" if late else "starting"
        case state:
            return f"{state}{why}"


def main() -> None:
    """Run the plan that is the first argument."""
    plan = Plan(**orjson.loads(sys.argv[1]))
    try:
        supervisor = Supervisor(plan, Settings(), lambda line: print(line, flush=True))
        supervisor.run()
    except CovlaError as error:
        sys.exit(f"covla: {error}")


def as_argument(plan: Plan) -> str:
    """For `main`."""
    return orjson.dumps(asdict(plan)).decode()


if __name__ == "__main__":
    main()
