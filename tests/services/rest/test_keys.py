"""Requests with and without an API key: 401, 403 and 429 before anything of the body is read."""

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from covla.api_keys import add_key, keys_file, revoke_key
from covla.settings import Settings
from services.rest.app import Api
from services.rest.explain import Explanations
from services.rest.keys import _SCOPES, KeyCheck, keys_wanted, start_notice
from services.rest.queue import PredictionQueue


@pytest.fixture
def settings(offline_settings: Settings) -> Settings:
    return offline_settings.model_copy(update={"api_keys": "required"})


@pytest.fixture
def api(echo: Any, settings: Settings) -> Iterator[Api]:
    api = Api(settings)
    api.queue = PredictionQueue(lambda: echo, capacity=40)
    api.explanations = Explanations(echo.explain)
    yield api
    api.explanations.close()
    api.queue.close()


@pytest.fixture
def client(api: Api) -> Iterator[TestClient]:
    with TestClient(api.application()) as client:
        yield client


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_a_key_opens_the_routes_of_its_scopes(
    client: TestClient, settings: Settings, a_post: dict[str, Any]
) -> None:
    _, predicts = add_key(settings, "predicts", ["predict"])
    _, explains = add_key(settings, "explains", ["explain"])
    assert client.post("/predict", json=a_post, headers=_bearer(predicts)).status_code == 200
    lower = {"authorization": f"bearer  {predicts} "}
    assert client.post("/predict_batch", json=[a_post], headers=lower).status_code == 200
    assert client.post("/explain", json=a_post, headers=_bearer(explains)).status_code == 200
    refused = client.post("/explain", json=a_post, headers=_bearer(predicts))
    assert refused.status_code == 403
    assert refused.json() == {
        "error": "the API key 'predicts' is not for /explain",
        "field": "authorization",
        "code": "missing_scope",
    }
    text = client.get("/metrics").text
    assert 'covla_errors_total{code="missing_scope"} 1.0' in text
    assert 'covla_requests_total{route="/explain",status="403"} 1.0' in text
    assert predicts not in text


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "no_key"),
        ({"Authorization": "Bearer "}, "no_key"),
        ({"Authorization": "Basic YTpi"}, "no_key"),
        ({"Authorization": "Bearer x"}, "unknown_key"),
        ({"Authorization": "Bearer covla_00000000_x"}, "unknown_key"),
        ({"Authorization": "Bearer covla_\u00e9_\u00e9".encode("latin-1")}, "unknown_key"),
    ],
)
def test_without_a_known_key_the_answer_is_401(
    client: TestClient, settings: Settings, a_post: dict[str, Any], headers: Any, code: str
) -> None:
    add_key(settings, "a", ["predict"])
    response = client.post("/predict", json=a_post, headers=headers)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert (response.json()["field"], response.json()["code"]) == ("authorization", code)
    assert f'covla_errors_total{{code="{code}"}} 1.0' in client.get("/metrics").text


def test_a_wrong_secret_under_a_known_id_is_unknown(
    client: TestClient, settings: Settings, a_post: dict[str, Any]
) -> None:
    made, key = add_key(settings, "a", ["predict"])
    revoke_key(settings, "a")
    wrong = client.post("/predict", json=a_post, headers=_bearer(f"covla_{made.id}_guess"))
    assert wrong.json()["code"] == "unknown_key"  # and not that the id was revoked
    assert client.post("/predict", json=a_post, headers=_bearer(key)).json()["code"] == (
        "revoked_key"
    )


def test_a_running_server_sees_keys_come_and_go(
    client: TestClient, settings: Settings, a_post: dict[str, Any]
) -> None:
    statuses = []
    _, first = add_key(settings, "first", ["predict"])
    statuses.append(client.post("/predict", json=a_post, headers=_bearer(first)).status_code)
    _, second = add_key(settings, "second", ["predict"])
    statuses.append(client.post("/predict", json=a_post, headers=_bearer(second)).status_code)
    revoke_key(settings, "first")
    statuses.append(client.post("/predict", json=a_post, headers=_bearer(first)).status_code)
    statuses.append(client.post("/predict", json=a_post, headers=_bearer(second)).status_code)
    assert statuses == [200, 200, 401, 200]


def test_the_file_is_read_when_it_has_changed_alone(
    client: TestClient, settings: Settings, a_post: dict[str, Any], monkeypatch: Any
) -> None:
    _, key = add_key(settings, "a", ["predict"])
    assert client.post("/predict", json=a_post, headers=_bearer(key)).status_code == 200

    def read(_: Settings) -> None:
        raise AssertionError("the file was read again")

    monkeypatch.setattr("services.rest.keys.load_keys", read)
    assert client.post("/predict", json=a_post, headers=_bearer(key)).status_code == 200


def test_keys_that_cannot_be_read_let_nobody_in(
    client: TestClient, settings: Settings, a_post: dict[str, Any]
) -> None:
    _, key = add_key(settings, "a", ["predict"])
    assert client.post("/predict", json=a_post, headers=_bearer(key)).status_code == 200
    whole = keys_file(settings).read_bytes()
    keys_file(settings).write_bytes(whole[:50])
    for _ in range(2):
        assert client.post("/predict", json=a_post, headers=_bearer(key)).status_code == 503
    keys_file(settings).write_bytes(whole)
    assert client.post("/predict", json=a_post, headers=_bearer(key)).status_code == 200
    keys_file(settings).unlink()
    assert client.post("/predict", json=a_post, headers=_bearer(key)).status_code == 401


def test_too_many_requests_with_a_key_are_429(
    api: Api, client: TestClient, settings: Settings, a_post: dict[str, Any]
) -> None:
    now = 100.0
    api.keys = KeyCheck(settings, clock=lambda: now)
    _, slow = add_key(settings, "slow", ["predict"], per_minute=3)
    _, other = add_key(settings, "other", ["predict"], per_minute=3)

    def ask(key: str) -> Any:
        return client.post("/predict", json=a_post, headers=_bearer(key))

    assert [ask(slow).status_code for _ in range(4)] == [200, 200, 200, 429]
    refused = ask(slow)
    assert refused.headers["retry-after"] == "20"  # one more request each 20 seconds
    assert refused.json()["code"] == "rate_limited"
    assert ask(other).status_code == 200
    now += 20
    assert [ask(slow).status_code for _ in range(2)] == [200, 429]
    add_key(settings, "third", ["predict"])  # a change of the file fills no bucket
    assert ask(slow).status_code == 429
    now += 3600
    assert [ask(slow).status_code for _ in range(4)] == [200, 200, 200, 429]
    assert 'covla_errors_total{code="rate_limited"} 5.0' in client.get("/metrics").text


@pytest.mark.parametrize(
    ("scopes", "status"), [(None, 401), (["explain"], 403)], ids=["no key", "no scope"]
)
def test_nothing_of_the_body_is_read(
    api: Api, settings: Settings, scopes: Any, status: int
) -> None:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        raise AssertionError("the body was read")

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json"), (b"content-length", b"1000000000")]
    if scopes:
        headers.append((b"authorization", f"Bearer {add_key(settings, 'a', scopes)[1]}".encode()))
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/predict",
        "headers": headers,
        "query_string": b"",
    }
    asyncio.run(api.application()(scope, receive, send))
    assert sent[0]["status"] == status
    assert dict(sent[0]["headers"])[b"connection"] == b"close"


def test_pages_are_open(client: TestClient) -> None:
    for path in ("/", "/examples", "/docs", "/docs.json", "/metrics"):
        assert client.get(path).status_code == 200, path


def test_every_route_that_takes_posts_has_a_scope(api: Api) -> None:
    routes = [route for route in api.application().routes if "POST" in (route.methods or ())]  # type: ignore[attr-defined]
    assert routes
    assert {route.path for route in routes} <= set(_SCOPES)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("host", "api_keys", "wanted"),
    [
        *((host, "auto", False) for host in ("127.0.0.1", "127.8.9.1", "localhost", "::1")),
        *((host, "auto", True) for host in ("0.0.0.0", "", "::", "10.0.0.7", "example.org")),
        ("0.0.0.0", "off", False),
        ("127.0.0.1", "required", True),
    ],
)
def test_keys_are_wanted_beyond_loopback(
    offline_settings: Settings, host: str, api_keys: str, wanted: bool
) -> None:
    settings = offline_settings.model_copy(update={"host": host, "api_keys": api_keys})
    assert keys_wanted(settings) is wanted
    notice = start_notice(settings)
    if wanted:
        assert "covla keys add NAME --scope predict" in notice
        add_key(settings, "a", ["predict"])
        assert start_notice(settings) == ""
    elif host == "0.0.0.0":
        assert notice.startswith("listens on 0.0.0.0 without API keys (COVLA_API_KEYS=off)")
    else:
        assert notice == ""


@pytest.mark.parametrize(
    ("server", "status"),
    [
        (("10.0.0.7", 3000), 401),
        (("::ffff:10.0.0.7", 3000), 401),
        (("127.0.0.1", 3000), 200),
        (("::ffff:127.0.0.1", 3000), 200),
        (("/tmp/socket", None), 200),
        (None, 200),
    ],
)
def test_a_request_that_comes_in_elsewhere_needs_a_key_whoever_started_the_server(
    echo: Any, offline_settings: Settings, a_post: dict[str, Any], server: Any, status: int
) -> None:
    api = Api(offline_settings)  # for loopback, and a program of its own listens on more
    api.queue = PredictionQueue(lambda: echo, capacity=4)
    application = api.application()

    async def listening(scope: Any, receive: Any, send: Any) -> None:
        await application(scope | {"server": server}, receive, send)

    assert TestClient(listening).post("/predict", json=a_post).status_code == status
    api.queue.close()


@pytest.mark.slow
def test_a_server_beyond_loopback_asks_for_a_key_that_another_process_makes(
    offline_settings: Settings, model_folder: Path, a_post: dict[str, Any], run_command: Any
) -> None:
    command = ["serve", "--model", str(model_folder), "--host", "0.0.0.0", "--port", "0", "--json"]
    server = subprocess.Popen(
        [sys.executable, "-m", "covla.cli", *command],
        env=offline_settings.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        port = int(json.loads(server.stdout.readline())["address"].rpartition(":")[2])
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            for path in ("/", "/livez", "/readyz", "/metrics"):
                assert client.get(path).status_code == 200, path
            assert client.post("/predict", json=a_post).status_code == 401
            add = ("keys", "add", "a", "--scope", "predict", "--json")
            key = run_command(offline_settings, *add).json["key"]
            with_key = client.post("/predict", json=a_post, headers=_bearer(key))
            assert with_key.json()["post_id"] == "p-1"
            run_command(offline_settings, "keys", "revoke", "a")
            revoked = client.post("/predict", json=a_post, headers=_bearer(key))
            assert (revoked.status_code, revoked.json()["code"]) == (401, "revoked_key")
        # Headers alone, of a body that never comes: the answer does not wait for it.
        with socket.create_connection(("127.0.0.1", port), timeout=30) as raw:
            raw.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n")
            assert raw.recv(4096).startswith(b"HTTP/1.1 401 ")
            while raw.recv(4096):
                pass  # and the connection ends
    finally:
        server.terminate()
        _, said = server.communicate(timeout=60)
    assert "there is no API key" in said
    assert "`covla keys add NAME --scope predict`" in said
