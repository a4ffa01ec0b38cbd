"""A service's container as a command: bubblewrap in the container's network namespace."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import covla
from covla.errors import CovlaError
from services.compose.file import Mount, Service
from services.compose.images import PATH, SYSTEM_PATH, VENV, Image

# Program -> Debian's package.
NEEDS = {
    "bwrap": "bubblewrap",
    "ip": "iproute2",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "dnsmasq": "dnsmasq-base",
}
# Of this machine's /etc, what programs need to start and to speak TLS.
_ETC = ("alternatives", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "mime.types",
        "protocols", "services", "ssl")  # fmt: skip
_NSSWITCH = "passwd: files\ngroup: files\nhosts: files dns\n"


def missing() -> list[str]:
    """Packages of which this machine lacks a program."""
    return sorted({NEEDS[name] for name in NEEDS if not shutil.which(name, path=PATH)})


def check() -> None:
    """Raise CovlaError where this machine lacks a program that a container needs, or forbids it."""
    if packages := missing():
        raise CovlaError(
            "this machine cannot run docker-compose.yml without a container engine",
            hint=f"Install the packages {' '.join(packages)}",
        )
    completed = subprocess.run([*unshare(), "true"], capture_output=True, text=True, check=False)
    if completed.returncode:
        raise CovlaError(
            f"this machine forbids namespaces ({completed.stderr.strip()})",
            hint="Run it as root, or allow user namespaces to other users",
        )


def environment(service: Service, image: Image, name: str) -> dict[str, str]:
    """Of a container: the image's variables, then the service's; nothing of this machine's."""
    ground = {"PATH": SYSTEM_PATH, "HOME": "/", "HOSTNAME": name, "LANG": "C.UTF-8"}
    return ground | image.environment | service.environment


def main_command(service: Service, image: Image) -> list[str]:
    """Entry point and arguments, by Docker's rule: an entry point drops the image's arguments."""
    entrypoint = image.entrypoint if service.entrypoint is None else service.entrypoint
    own = image.command if service.entrypoint is None else []
    return entrypoint + (own if service.command is None else service.command)


def enter(service: Service, image: Image, name: str, root: Path, folder: Path) -> list[str]:
    """What to put before a command that runs in the container `name`.

    Args:
        root: the folder of the Compose file.
        folder: keeps volumes and the network's files.
    """
    words = ["nsenter", f"--net=/run/netns/{name}", "bwrap", "--die-with-parent"]
    words += ["--unshare-user", "--uid", str(image.user), "--gid", str(image.user)]
    words += ["--unshare-ipc", "--unshare-pid", "--unshare-uts", "--hostname", name]
    if not service.init:
        words.append("--as-pid-1")
    words += [*_system(), "--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--dir", "/tmp"]  # noqa: S108
    words += ["--ro-bind", "/sys", "/sys", *_etc(image, name, folder)]
    # First: this project may itself lie in /tmp.
    for target in service.tmpfs:
        words += ["--perms", "1777", "--tmpfs", target]
    code = Path(covla.__file__).parents[1]
    for place in dict.fromkeys((code, root, Path(sys.prefix), Path(sys.base_prefix).resolve())):
        words += ["--ro-bind", str(place), str(place)]
    words += ["--ro-bind", str(root), "/app", "--symlink", sys.prefix, VENV]
    for source, target in image.binds.items():
        words += ["--ro-bind", str(source), target]
    for target, program in image.programs.items():
        words += ["--ro-bind", str(program), target]
    for mount in service.mounts:
        how = "--ro-bind" if mount.read_only else "--bind"
        words += [how, str(source_of(mount, root, folder)), mount.target]
    if service.read_only:
        words += ["--remount-ro", "/"]
    return [*words, "--chdir", image.folder, "--"]


def source_of(mount: Mount, root: Path, folder: Path) -> Path:
    """The folder or file of this machine behind a mount."""
    return folder / "volumes" / mount.source if mount.named else (root / mount.source).resolve()


def _system() -> Iterator[str]:
    yield from ("--ro-bind", "/usr", "/usr")
    for name in ("bin", "lib", "lib32", "lib64", "sbin"):
        path = Path("/", name)
        if path.is_symlink():
            yield from ("--symlink", str(path.readlink()), str(path))
        elif path.exists():
            yield from ("--ro-bind", str(path), str(path))


def _etc(image: Image, name: str, folder: Path) -> list[str]:
    etc = folder / "etc" / name
    etc.mkdir(parents=True, exist_ok=True)
    home = image.environment.get("HOME", "/")
    user = f"covla:x:{image.user}:{image.user}::{home}:/bin/sh\n"
    (etc / "passwd").write_text("root:x:0:0::/root:/bin/sh\n" + user)
    (etc / "group").write_text(f"root:x:0:\ncovla:x:{image.user}:\n")
    (etc / "nsswitch.conf").write_text(_NSSWITCH)
    (etc / "hosts").write_text("127.0.0.1 localhost\n")
    shutil.copyfile(folder / "resolv.conf", etc / "resolv.conf")
    words = []
    for each in sorted(etc.iterdir()):
        words += ["--ro-bind", str(each), f"/etc/{each.name}"]
    for kept in _ETC:
        words += ["--ro-bind-try", f"/etc/{kept}", f"/etc/{kept}"]
    return words


def unshare() -> list[str]:
    """What to put before the supervisor: namespaces that end, with all in them, when it ends."""
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    words = ["unshare", *user, "--net", "--mount", "--pid", "--fork", "--kill-child"]
    return [*words, "--mount-proc"]
