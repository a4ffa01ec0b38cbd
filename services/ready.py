"""Check over HTTP whether a service is ready, as a container's health check does."""

import json
import os
import string
import urllib.error
import urllib.request
from typing import Any

from covla.errors import CovlaError, ServiceUnavailable

SECONDS = 10.0


def ready(url: str, part: str | None = None) -> str:
    """What the service answers to a GET; `$HOSTNAME` in `url` is this host's name.

    Args:
        url: an http address.
        part: a field of a JSON answer whose `status` must be "healthy", such as "dag_processor"
            of Airflow's /api/v2/monitor/health.

    Raises:
        CovlaError: `url` is not an http address.
        ServiceUnavailable: no answer within ten seconds, another status than 200, or the part is
            not healthy.
    """
    url = string.Template(url).safe_substitute(HOSTNAME=os.uname().nodename)
    if not url.startswith(("http://", "https://")):
        raise CovlaError(f"{url!r} is no http address")
    # A health check goes to a neighbour, never through a proxy.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=SECONDS) as answer:
            body: str = answer.read().decode()
    except urllib.error.HTTPError as error:
        text = error.read().decode(errors="replace").strip()
        raise ServiceUnavailable(f"{url} answers {error.code}: {text[:300]}") from None
    except OSError as error:  # URLError is one
        why = getattr(error, "reason", error)
        raise ServiceUnavailable(f"{url} does not answer: {why}") from None
    if part is not None and (status := _status(body, part)) != "healthy":
        raise ServiceUnavailable(f"{url}: {part} is {status}")
    return body.strip()


def _status(body: str, part: str) -> Any:
    try:
        status = json.loads(body)[part]["status"]
    except (ValueError, KeyError, TypeError):
        return "not in the answer"
    return status or "not running"
