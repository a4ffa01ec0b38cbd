"""The REST service: a BentoML service around the one Predictor, in one process.

BentoML brings the lifecycle, health, timeouts and tracing. The routes are an ASGI application of
ours inside it, since BentoML's typed endpoints cannot refuse a body before reading it, answer one
error per item, or give 413, 422 and 429 with a reason.
"""

import signal
import socket
from collections.abc import Callable
from contextlib import closing
from typing import Any

import bentoml
import uvicorn

from covla.errors import CovlaError
from covla.settings import Settings
from services.model_provider import Current, serving
from services.rest_app import Api
from services.rest_explain import Explanations, maker
from services.rest_queue import PredictionQueue
from services.running import recorded

QUEUE_POSTS = 256
DRAIN_SECONDS = 30


def build(settings: Settings, current: Current) -> Any:
    """The BentoML service around a loaded model."""
    api = Api(settings)

    @bentoml.service(
        name="covla",
        workers=1,  # one process holds the model; more machines, not more copies
        traffic={"timeout": 60},
        metrics={"enabled": False},  # ours is at the same place
        logging={"access": {"enabled": False}},
    )
    @bentoml.asgi_app(api.application(), path="/")
    class Covla:
        """What kind of place does a social post show?"""

        def __init__(self) -> None:
            api.queue = PredictionQueue(current, capacity=QUEUE_POSTS)
            api.explanations = Explanations(maker(current))
            api.metrics.serves(current().version)

        def __is_ready__(self) -> bool:
            return api.queue.ready

        def __is_alive__(self) -> bool:
            return api.queue.alive

        @bentoml.on_shutdown  # type: ignore[untyped-decorator]
        def finish(self) -> None:
            """Answer what was accepted."""
            api.queue.close()
            api.explanations.close()

    return Covla


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
    """
    with closing(listen(host, port)) as listener, serving(settings, ref) as current:
        address = f"http://{host}:{listener.getsockname()[1]}"
        application = build(settings, current).to_asgi()
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
    if not server.started:
        raise CovlaError("the REST service did not start", hint="The log above says why")
