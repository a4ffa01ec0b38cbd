"""TCP ports of local services."""

import contextlib
import socket

from covla.errors import CovlaError
from covla.settings import Settings

# The local services have no login, so no other machine may reach them, whatever COVLA_HOST is.
LOOPBACK = "127.0.0.1"


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could listen there now."""
    with contextlib.closing(socket.socket()) as probe:
        # As servers do: a port whose last connection is winding down counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def any_free(host: str = LOOPBACK) -> int:
    """A port that is free now, chosen by the kernel."""
    with contextlib.closing(socket.socket()) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def choose(settings: Settings, field: str, host: str = LOOPBACK) -> int:
    """The port of a service: the setting `field` if free, else the next free one above it.

    Raises:
        CovlaError: the port was set by hand (COVLA_...) and something else listens there.
    """
    wanted = int(getattr(settings, field))
    if is_free(wanted, host):
        return wanted
    if field in settings.model_fields_set:
        raise CovlaError(
            f"port {wanted} of {host} is taken",
            hint=f"Stop what listens there, or set COVLA_{field.upper()} to another port",
        )
    for port in range(wanted + 1, min(wanted + 100, 65_536)):
        if is_free(port, host):
            return port
    raise CovlaError(
        f"ports {wanted} to {wanted + 99} of {host} are all taken",
        hint=f"Set COVLA_{field.upper()} to a free port",
    )
