"""What both clients share: where the service is, how it is called, and how long it is tried."""

import random
from dataclasses import dataclass, field
from typing import Any

import httpx
from tenacity import RetryCallState, retry_if_exception_type, stop_before_delay

from covla import __version__
from covla.client.answers import TryLater
from covla.errors import CovlaError, ServiceUnavailable
from covla.settings import Settings, get_settings

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 8.0  # seconds, where the service names none


@dataclass(frozen=True)
class Connection:
    """Where the service is and how it is called; times in seconds."""

    address: str
    timeout: float
    deadline: float
    settings: Settings
    headers: dict[str, str] = field(repr=False)  # the key is in it

    @classmethod
    def to(
        cls, address: str | None, api_key: str | None, timeout: float, deadline: float
    ) -> "Connection":
        """With what is not given from the settings.

        Raises:
            CovlaError: address, key or a time cannot be used, or a setting.
        """
        settings = get_settings()
        address = (address or f"http://127.0.0.1:{settings.rest_port}").rstrip("/")
        if not _is_web_address(address):
            raise CovlaError(f"{address!r} is no http:// or https:// address")
        if not (timeout > 0 and deadline > 0):
            raise CovlaError("timeout and deadline are seconds, more than 0")
        if api_key is None and settings.api_key is not None:
            api_key = settings.api_key.get_secret_value()
        headers = {"User-Agent": f"covla/{__version__}", "Content-Type": "application/json"}
        if api_key:
            if not api_key.isascii() or not api_key.isprintable() or " " in api_key:
                raise CovlaError("the API key has characters in it that no key has")
            headers["Authorization"] = f"Bearer {api_key}"
        return cls(address, timeout, deadline, settings, headers)

    def retrying(self) -> dict[str, Any]:
        """The arguments of tenacity: 429 and 503 again, as long as the deadline is not reached."""
        return {
            "retry": retry_if_exception_type(TryLater),
            "wait": _pause,
            "stop": stop_before_delay(self.deadline),
            "reraise": True,
        }

    def no_answer(self, error: Exception) -> ServiceUnavailable:
        """For what httpx raises."""
        why = str(error) or type(error).__name__
        return ServiceUnavailable(
            f"{self.address} does not answer: {why}", hint="Is `covla serve` running there?"
        )

    def too_late(self) -> ServiceUnavailable:
        """For an answer that is not there in time."""
        return ServiceUnavailable(f"{self.address} did not answer within {self.deadline:g} s")


def http_options(connection: Connection) -> dict[str, Any]:
    """The arguments of httpx's clients.

    Redirects are not followed: the key is for this address.
    """
    return {
        "base_url": connection.address,
        "headers": connection.headers,
        "timeout": httpx.Timeout(connection.timeout),
        "follow_redirects": False,
    }


def _is_web_address(address: str) -> bool:
    try:
        url = httpx.URL(address)
    except httpx.InvalidURL:
        return False
    return url.scheme in {"http", "https"} and bool(url.host)


def _pause(state: RetryCallState) -> float:
    """Seconds to the next try: what the service gives, else longer and longer, with jitter."""
    assert state.outcome is not None
    error = state.outcome.exception()
    assert isinstance(error, TryLater)
    if error.retry_after is not None:
        return max(error.retry_after, 0.1)
    longest: float = min(FIRST_PAUSE * 2 ** (state.attempt_number - 1), LONGEST_PAUSE)
    return random.uniform(longest / 2, longest)
