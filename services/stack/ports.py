"""TCP ports of local services."""

import contextlib
import socket

from covla.errors import CovlaError
from covla.settings import Settings


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    with contextlib.closing(socket.socket()) as probe:
        # As servers do: a port whose last connection is winding down counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def any_free(host: str) -> int:
    """A port that is free now, chosen by the kernel."""
    with contextlib.closing(socket.socket()) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def choose(settings: Settings, field: str) -> int:
    """The port of a service: the setting `field` if free, else the next free one above it.

    Raises:
        CovlaError: the port was set by hand (COVLA_...) and something else listens there.
    """
    wanted = int(getattr(settings, field))
    if is_free(settings.host, wanted):
        return wanted
    if field in settings.model_fields_set:
        raise CovlaError(
            f"port {wanted} of {settings.host} is taken",
            hint=f"Stop what listens there, or set COVLA_{field.upper()} to another port",
        )
    for port in range(wanted + 1, min(wanted + 100, 65_536)):
        if is_free(settings.host, port):
            return port
    raise CovlaError(
        f"ports {wanted} to {wanted + 99} of {settings.host} are all taken",
        hint=f"Set COVLA_{field.upper()} to a free port",
    )
