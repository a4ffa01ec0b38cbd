"""`covla serve`: the BentoML service of one model, on one socket, until a signal."""

import signal
import socket
from collections.abc import Callable
from contextlib import closing

import uvicorn

from covla.errors import CovlaError, DeviceFailed
from covla.settings import Settings
from services.model_provider import serving
from services.rest.service import OursFirst, build
from services.running import recorded

DRAIN_SECONDS = 30


class _Server(uvicorn.Server):
    """Says when it is ready."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes any free one.

    Raises:
        CovlaError: the address cannot be used; a port that is taken is named.
    """
    try:
        return socket.create_server((host, port), backlog=2048)
    except OSError as error:
        raise CovlaError(
            f"cannot listen on {host}:{port}: {error.strerror}",
            hint="Stop what listens there, or give another --port",
        ) from error


def serve(
    settings: Settings, ref: str, *, host: str, port: int, ready: Callable[[str, str], None]
) -> None:
    """Serve until SIGTERM or SIGINT; what was accepted is answered first.

    Args:
        ref: champion (followed as it changes), or a version number or model folder.
        ready: called with the address and the version once requests are answered.

    Raises:
        CovlaError: the port is taken, or there is no such model; nothing was started.
        DeviceFailed: the GPU did, and what waited was answered with 503.
    """
    failures: list[DeviceFailed] = []

    def failed(error: DeviceFailed) -> None:
        failures.append(error)
        server.should_exit = True

    with closing(listen(host, port)) as listener, serving(settings, ref) as current:
        address = f"http://{host}:{listener.getsockname()[1]}"
        # Before BentoML's own middleware: its spans, which nothing collects, take longer than the
        # parsing of a post, and a thousand refusals would leave the model little of the machine.
        application = OursFirst(build(settings, current, failed).to_asgi())
        config = uvicorn.Config(
            application,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=DRAIN_SECONDS,
            h11_max_incomplete_event_size=64 * 1024,
        )
        server = _Server(config, lambda: ready(address, current().version))
        # uvicorn raises the signal again after its clean end; the end of this process is 0.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        with recorded(settings, "rest", address):
            server.run(sockets=[listener])
    if failures:
        raise failures[0]
    if not server.started:
        raise CovlaError("the REST service did not start", hint="The log above says why")
