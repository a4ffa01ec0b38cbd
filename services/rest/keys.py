"""Who may ask: the API key of a request, held against the keys of the state folder."""

import ipaddress
import logging
import math
import time
from collections.abc import Callable
from functools import lru_cache

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from covla.api_keys import ApiKey, Scope, id_of, keys_file, load_keys
from covla.errors import CovlaError, ServiceUnavailable
from covla.settings import Settings

# A route that is not here answers nobody who needs a key.
_SCOPES: dict[str, Scope] = {
    "/predict": "predict",
    "/predict_batch": "predict",
    "/explain": "explain",
    "/feedback": "feedback",
    "/labels": "predict",
    "/version": "predict",
}

log = logging.getLogger(__name__)


class Denied(CovlaError):
    """A request that is not answered: 401, 403 or 429. Nothing of its body was read."""

    def __init__(self, status: int, code: str, reason: str, retry_after: int = 0) -> None:
        """`retry_after` is in seconds."""
        super().__init__(reason)
        self.status, self.code, self.retry_after = status, code, retry_after

    def response(self) -> Response:
        """The error in the form of the service. The connection ends, with the unread body on it."""
        headers = {"Connection": "close"}
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        if self.retry_after:
            headers["Retry-After"] = str(self.retry_after)
        body = {"error": str(self), "field": "authorization", "code": self.code}
        return JSONResponse(body, self.status, headers=headers)


class KeyCheck:
    """Checks requests, in one thread. A change of the keys is seen at the next request.

    Rate limits are of this process: two servers on one state folder give a key twice as much.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives seconds."""
        self._settings = settings
        self._clock = clock
        self._path = keys_file(settings)
        self._seen: tuple[int, int, int] | None = None
        self._keys: dict[str, ApiKey] = {}
        self._buckets: dict[str, tuple[float, float]] = {}  # id -> requests left, and when

    def check(self, request: Request, route: str) -> None:
        """Let a request pass, before its body is read.

        Raises:
            Denied: it has no key that may ask for `route`, or too many requests came with it.
            ServiceUnavailable: the keys cannot be read.
        """
        if not keys_wanted(self._settings) and not self._from_elsewhere(request):
            return
        scheme, _, sent = request.headers.get("authorization", "").strip().partition(" ")
        if scheme.lower() != "bearer" or not sent.strip():
            raise Denied(
                401,
                "no_key",
                "this server asks for an API key: send it as `Authorization: Bearer KEY`",
            )
        sent = sent.strip()
        key = self._current().get(id_of(sent))
        if key is None or not key.matches(sent):
            raise Denied(401, "unknown_key", "this API key is not known here")
        if key.revoked_at is not None:
            raise Denied(401, "revoked_key", f"the API key {key.name!r} was revoked")
        scope = _SCOPES.get(route)
        if scope not in key.scopes:
            raise Denied(403, "missing_scope", f"the API key {key.name!r} is not for {route}")
        self._take(key)

    def _from_elsewhere(self, request: Request) -> bool:
        """Whether another program than `covla serve` listens here, on more than loopback."""
        if self._settings.api_keys != "auto":
            return False
        address, _ = request.scope.get("server") or ("", None)
        return _is_loopback(address) is False

    def _current(self) -> dict[str, ApiKey]:
        try:
            try:
                stat = self._path.stat()
                seen = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
            except FileNotFoundError:
                seen = None
            if seen != self._seen:
                self._keys = {key.id: key for key in load_keys(self._settings)}
                self._buckets = {i: left for i, left in self._buckets.items() if i in self._keys}
                self._seen = seen
                log.info("%d API keys", len(self._keys))
        except (CovlaError, OSError) as error:
            # Not the keys of before: one of them may be revoked by now.
            raise ServiceUnavailable(f"the API keys cannot be read: {error}") from error
        return self._keys

    def _take(self, key: ApiKey) -> None:
        """A token bucket: a minute's requests at once, then one as each part of a minute passes."""
        if key.per_minute is None:
            return
        now = self._clock()
        left, then = self._buckets.get(key.id, (float(key.per_minute), now))
        left = min(key.per_minute, left + (now - then) * key.per_minute / 60)
        if left < 1:
            self._buckets[key.id] = (left, now)
            wait = math.ceil((1 - left) * 60 / key.per_minute)
            reason = f"more than {key.per_minute} requests a minute with the API key {key.name!r}"
            raise Denied(429, "rate_limited", f"{reason}. Try again in {wait} s", wait)
        self._buckets[key.id] = (left - 1, now)


def keys_wanted(settings: Settings) -> bool:
    """Whether a server that listens on `settings.host` asks for a key."""
    if settings.api_keys == "auto":
        return settings.host != "localhost" and _is_loopback(settings.host) is not True
    return settings.api_keys == "required"


def start_notice(settings: Settings) -> str:
    """What the person who starts the server should know of its keys; empty where all is well.

    Raises:
        CovlaError: the keys cannot be read.
    """
    if not keys_wanted(settings):
        if _is_loopback(settings.host) or settings.host == "localhost":
            return ""
        return (
            f"listens on {settings.host} without API keys (COVLA_API_KEYS=off): whoever reaches "
            "this address may use it"
        )
    if any(key.revoked_at is None for key in load_keys(settings)):
        return ""
    return (
        "there is no API key, so every request gets 401: make one with "
        "`covla keys add NAME --scope predict`, and the server takes it at once"
    )


@lru_cache(maxsize=64)
def _is_loopback(address: str) -> bool | None:
    """None for what is no IP address."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return (mapped or found).is_loopback
