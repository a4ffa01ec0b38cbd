"""An open-loop load on a REST service: requests go out by the clock, answered or not."""

import http.client
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

CONNECTIONS = 8
LATEST = 90  # seconds over the time, which a machine that is busy may take to load a version


@dataclass(frozen=True)
class Answered:
    """One request: when it was sent and answered (seconds, monotonic), status and version."""

    sent: float
    received: float
    status: int
    version: str | None


class Load:
    """Posts bodies to /predict over several connections that stay open."""

    def __init__(self, address: str, bodies: Sequence[bytes]) -> None:
        self._host = urlsplit(address).netloc
        self._bodies = bodies
        self._stop = threading.Event()

    def capacity(self, seconds: float) -> float:
        """Requests per second when each connection sends the next one at once."""
        return len(self._run(seconds, None)) / seconds

    def run(self, seconds: float, rate: float, until: str) -> list[Answered]:
        """`rate` requests per second for so long, and on until `until` has answered for a second;
        in the order in which they were sent."""
        return sorted(self._run(seconds, rate, until), key=lambda one: one.sent)

    def _run(self, seconds: float, rate: float | None, until: str | None = None) -> list[Answered]:
        answered: list[Answered] = []
        errors: list[BaseException] = []
        numbers = iter(range(10**9))
        lock = threading.Lock()
        start = time.monotonic()

        def work() -> None:
            connection = http.client.HTTPConnection(self._host, timeout=60)
            try:
                while True:
                    with lock:
                        number = next(numbers)
                    at = start + number / rate if rate else time.monotonic()
                    if at >= start + seconds and (until is None or _for_a_second(until, answered)):
                        return
                    assert at < start + seconds + LATEST, f"version {until} does not answer"
                    time.sleep(max(at - time.monotonic(), 0))
                    answered.append(self._one(connection, self._bodies[number % len(self._bodies)]))
            except BaseException as error:  # noqa: BLE001  (raised below)
                errors.append(error)
            finally:
                connection.close()

        threads = [threading.Thread(target=work) for _ in range(CONNECTIONS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]
        return answered

    def _one(self, connection: http.client.HTTPConnection, body: bytes) -> Answered:
        sent = time.monotonic()
        connection.request("POST", "/predict", body, {"Content-Type": "application/json"})
        reply = connection.getresponse()
        reply.read()
        return Answered(sent, time.monotonic(), reply.status, reply.headers.get("Model-Version"))


def _for_a_second(version: str, answered: Sequence[Answered]) -> bool:
    first = next((one.received for one in answered if one.version == version), None)
    return first is not None and time.monotonic() > first + 1
