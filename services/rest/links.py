"""Where the page leads to: the pages of Airflow, MLflow and Evidently, as far as they are known."""

import json
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.requests import Request

from covla.settings import Settings
from services.stack.processes import records

LOCAL = {"evidently": "Drift reports", "mlflow": "Models (MLflow)", "airflow": "Airflow"}


def links(settings: Settings, *, here: bool) -> dict[str, str]:
    """Name of a page -> its address: those of `COVLA_PAGE_LINKS`, and before them, for a browser
    on this machine (`here`), those of services of the state folder that run.

    Raises:
        CovlaError: a process record cannot be read.
    """
    local = {
        LOCAL[process.name]: process.address
        for process in (records(settings) if here else [])
        if process.name in LOCAL and process.alive
    }
    found = {name: local[name] for name in LOCAL.values() if name in local}
    named: dict[str, str] = json.loads(settings.page_links)
    return found | named


def is_here(request: Request) -> bool:
    """Whether a browser asks for this machine by a name of its own, to which other ports of it
    answer too: not from behind a gateway, a port of a container or another machine."""
    host = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    client = request.client.host if request.client else ""
    try:
        return host in {"localhost", "127.0.0.1", "::1"} and ip_address(client).is_loopback
    except ValueError:
        return False
