"""Reading an MLflow server over its REST API, without MLflow: what serves needs no more.

On the routes: mlflow.org, "REST API"; files come by the server's own route of its page,
`/get-artifact`, which reads whatever store the server writes to.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from covla.errors import CovlaError, ServiceUnavailable
from covla.settings import Settings, mlflow_login

SECONDS = 20.0  # to connect, and between two pieces of an answer
OURS = frozenset({
    "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS", "INVALID_PARAMETER_VALUE", "BAD_REQUEST",
})  # fmt: skip
_BLOCK = 2**20


@dataclass(frozen=True)
class VersionRow:
    """A version as the server lists it; the time is in milliseconds since 1970."""

    version: str
    run_id: str
    tags: dict[str, str]
    creation_timestamp: int


def is_server(settings: Settings) -> bool:
    """Whether the registry is a server, and not a file."""
    return settings.mlflow.startswith(("http://", "https://"))


def model_versions(name: str, settings: Settings) -> list[VersionRow]:
    """All versions of a registered model, in no order; none where there is no such model.

    Raises:
        ServiceUnavailable: the server does not answer, or answers that it cannot.
        CovlaError: it refused the request.
    """
    rows: list[VersionRow] = []
    token = ""
    with _client(settings) as client:
        while True:
            params = {"filter": f"name = '{name}'", "max_results": "200", "page_token": token}
            page = _get(client, "model-versions/search", params)
            for row in page.get("model_versions", []):
                tags = {tag["key"]: tag.get("value", "") for tag in row.get("tags", [])}
                created = int(row["creation_timestamp"])
                rows.append(VersionRow(row["version"], row["run_id"], tags, created))
            token = page.get("next_page_token") or ""
            if not token:
                return rows


def aliases(name: str, settings: Settings) -> dict[str, str]:
    """Alias to version of a registered model.

    Raises:
        ServiceUnavailable, CovlaError: as `model_versions`; or there is no such model.
    """
    with _client(settings) as client:
        model = _get(client, "registered-models/get", {"name": name})["registered_model"]
    return {row["alias"]: str(row["version"]) for row in model.get("aliases", [])}


def download(run_id: str, path: str, out: Path, settings: Settings) -> Path:
    """The files of a run below `path`, into `out`/`path`, which is returned.

    Raises:
        ServiceUnavailable, CovlaError: as `model_versions`.
    """
    with _client(settings) as client:
        for name in _files(client, run_id, path):
            target = out / name
            if not target.resolve().is_relative_to((out / path).resolve()):
                raise CovlaError(f"mlflow: run {run_id} names a file outside its folder: {name}")
            target.parent.mkdir(parents=True, exist_ok=True)
            params = {"run_id": run_id, "path": name}
            with client.stream("GET", "/get-artifact", params=params) as response:
                _check(response)
                with target.open("wb") as file:
                    for block in response.iter_bytes(_BLOCK):
                        file.write(block)
    return out / path


def _files(client: httpx.Client, run_id: str, path: str) -> Iterator[str]:
    token = ""
    while True:
        params = {"run_id": run_id, "path": path, "page_token": token}
        page = _get(client, "artifacts/list", params)
        for row in page.get("files", []):
            if row.get("is_dir"):
                yield from _files(client, run_id, row["path"])
            else:
                yield row["path"]
        token = page.get("next_page_token") or ""
        if not token:
            return


@contextmanager
def _client(settings: Settings) -> Iterator[httpx.Client]:
    user, token = mlflow_login()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    address = settings.mlflow.rstrip("/")
    try:
        with httpx.Client(base_url=address, timeout=SECONDS, auth=user, headers=headers) as client:
            yield client
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise unavailable(settings, str(error) or type(error).__name__) from error
    except _Failed as error:
        raise unavailable(settings, str(error)) from error
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise unavailable(settings, f"its answer is none of MLflow: {error!r}") from error


def unavailable(settings: Settings, message: str) -> ServiceUnavailable:
    """The error of a server that does not answer, or not with what was asked for."""
    return ServiceUnavailable(
        f"mlflow at {settings.mlflow} does not answer: {message[:300]}",
        hint="Start it with `covla up mlflow`, or correct COVLA_MLFLOW_URI",
    )


class _Failed(Exception):
    """The server answered that it cannot."""


def _get(client: httpx.Client, route: str, params: dict[str, str]) -> dict[str, Any]:
    given = {name: value for name, value in params.items() if value}
    response = client.get(f"/api/2.0/mlflow/{route}", params=given)
    _check(response)
    found: dict[str, Any] = response.json()
    return found


def _check(response: httpx.Response) -> None:
    if response.is_success:
        return
    response.read()
    try:
        about = response.json()
        code, message = str(about["error_code"]), str(about["message"]).splitlines()[0][:300]
    except (ValueError, KeyError, TypeError, IndexError):
        raise _Failed(f"HTTP {response.status_code} {response.reason_phrase}") from None
    if code in OURS:
        raise CovlaError(f"mlflow: {message}")
    raise _Failed(message)
