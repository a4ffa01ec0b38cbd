"""A bridge, a network namespace for each container, and a name server for the services' names.

Runs inside namespaces of its own (`unshare`), so this machine's network is not touched.
"""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from covla.errors import CovlaError

GATEWAY = "10.89.0.1"
_FIRST = 10


def addresses(containers: Sequence[str]) -> dict[str, str]:
    """Container -> its IPv4 address."""
    return {name: f"10.89.0.{_FIRST + number}" for number, name in enumerate(containers)}


def build(containers: Mapping[str, str], services: Mapping[str, str], folder: Path) -> None:
    """Lay the network.

    Args:
        containers: container -> address.
        services: container -> its service, whose name is that of all its containers.
        folder: where files of the network go.

    Raises:
        CovlaError: this machine's kernel lacks a part, such as bridges.
    """
    _run("mount", "-t", "tmpfs", "none", "/run")
    Path("/run/netns").mkdir()
    _ip("link", "set", "lo", "up")
    _ip("link", "add", "covla0", "type", "bridge")
    _ip("addr", "add", f"{GATEWAY}/24", "dev", "covla0")
    _ip("link", "set", "covla0", "up")
    for number, (name, address) in enumerate(containers.items()):
        _ip("netns", "add", name)
        outer = f"veth{number}"
        _ip("link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", name)
        _ip("link", "set", outer, "master", "covla0", "up")
        _ip("-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
        _ip("-n", name, "link", "set", "eth0", "up")
        _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", name, "route", "add", "default", "via", GATEWAY)
    hosts = folder / "names"
    hosts.write_text(
        "".join(f"{address} {services[name]} {name}\n" for name, address in containers.items())
    )
    (folder / "resolv.conf").write_text(f"nameserver {GATEWAY}\n")


def name_server(folder: Path) -> list[str]:
    """The command of the name server: a service's name is the addresses of all its containers."""
    return [
        "dnsmasq",
        "--keep-in-foreground",
        "--no-resolv",
        "--no-hosts",
        f"--addn-hosts={folder / 'names'}",
        f"--listen-address={GATEWAY}",
        "--bind-interfaces",
        "--user=root",
        "--group=",  # a user namespace has no right to change it
        "--pid-file=",
        "--log-facility=-",
        "--conf-file=/dev/null",
    ]


def _ip(*words: str) -> None:
    _run("ip", *words)


def _run(*words: str) -> None:
    completed = subprocess.run(words, capture_output=True, text=True, check=False)
    if completed.returncode:
        raise CovlaError(f"`{' '.join(words)}` failed: {completed.stderr.strip()}")
