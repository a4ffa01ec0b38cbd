"""The REST service as BentoML's own tools and clients know it: `bentoml serve` as a process, with a
champion, and BentoML's two clients and curl on it."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import bentoml
import httpx
import pytest

from covla.posts.taxonomy import load_taxonomy
from covla.registry.registry import Registry
from covla.settings import Settings
from services.stack import ports
from tests.rehearsed import ROOT

pytestmark = pytest.mark.slow

BENTOML = Path(sys.executable).with_name("bentoml")
POST = {"post_id": "p-1", "created_at": "2026-05-01T12:00:00Z", "text": "at the beach"}


def start(
    settings: Settings, cwd: Path, target: str, output: Path, *, code: Iterable[str] = sys.path
) -> "subprocess.Popen[str]":
    """`bentoml serve TARGET` at the settings' port, with `code` to import from."""
    kept = settings.environment()
    # The service itself has to see to it that BentoML reports to nobody; this prints what it would.
    kept.pop("BENTOML_DO_NOT_TRACK", None)
    kept |= {"__BENTOML_DEBUG_USAGE": "True", "PYTHONPATH": os.pathsep.join(code)}
    command = [BENTOML, "serve", target, "--host", "127.0.0.1"]
    command += ["--port", str(settings.rest_port)]
    with output.open("w") as log:
        return subprocess.Popen(
            command, cwd=cwd, env=kept, stdout=log, stderr=subprocess.STDOUT, text=True
        )


def wait_ready(process: "subprocess.Popen[str]", address: str, output: Path) -> None:
    """Until the service is ready; else its log."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert process.poll() is None, output.read_text()
        try:
            if httpx.get(f"{address}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise AssertionError(output.read_text())


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("log") / "bentoml.log"


@pytest.fixture(scope="module")
def process(
    tmp_path_factory: pytest.TempPathFactory, kafka: Settings, model_folder: Path, output: Path
) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """The process, which follows the champion of its state folder, and its address."""
    settings = Settings(
        state=tmp_path_factory.mktemp("state"),
        rest_port=ports.any_free(),
        kafka_bootstrap=kafka.kafka_bootstrap,
        topic_prefix="bentoml",
    )
    registry = Registry(settings)
    registry.promote(registry.register(model_folder), force=True)
    address = f"http://127.0.0.1:{settings.rest_port}"
    process = start(settings, ROOT, "services.rest:Covla", output)
    try:
        wait_ready(process, address, output)
        yield process, address
    finally:
        process.kill()
        process.wait(20)


@pytest.fixture
def address(process: tuple[Any, str]) -> str:
    return process[1]


def _stable(prediction: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in prediction.items() if k not in {"predicted_at", "latency_ms"}}


def _curl(address: str, route: str, body: Any = None) -> Any:
    command = ["curl", "-sS", "--fail-with-body", f"{address}/{route}"]
    if body is not None:
        command += ["-H", "content-type: application/json", "-d", json.dumps(body)]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def test_both_clients_and_curl_get_the_same(address: str) -> None:
    batch = [POST, POST | {"post_id": "p-2", "text": 5}]
    names = load_taxonomy().names
    with bentoml.SyncHTTPClient(address) as client:
        predicted = client.predict(POST)
        rows = client.predict_batch(batch)
        why = client.explain(POST)
        labels = client.labels()
        version = client.version()
        accepted = client.feedback(post_id="p-1", label="home")
    assert set(predicted["probabilities"]) == set(names)
    assert predicted["model_version"] == version["model_version"] == "1"
    assert [row["label"] for row in labels] == names
    assert all(row["description"] for row in labels)
    assert _stable(rows[0]) == _stable(why["prediction"]) == _stable(predicted)
    assert (rows[1]["field"], rows[1]["code"]) == ("text", "string_type")
    assert (accepted["post_id"], accepted["label"], accepted["source"]) == (
        "p-1",
        "home",
        "feedback",
    )

    async def ask() -> None:
        async with bentoml.AsyncHTTPClient(address) as client:
            assert _stable(await client.predict(POST)) == _stable(predicted)
            assert _stable((await client.predict_batch(batch))[0]) == _stable(predicted)
            assert (await client.explain(POST))["explanation"] == why["explanation"]
            assert await client.labels() == labels
            assert await client.version() == version
            assert (await client.feedback(post_id="p-1", label="shop"))["label"] == "shop"

    asyncio.run(ask())
    assert _stable(_curl(address, "predict", POST)) == _stable(predicted)
    assert _stable(_curl(address, "predict_batch", batch)[0]) == _stable(predicted)
    assert _curl(address, "explain", POST)["explanation"] == why["explanation"]
    assert _curl(address, "labels") == labels
    assert _curl(address, "version") == version
    assert _curl(address, "feedback", {"post_id": "p-1", "label": "home"})["source"] == "feedback"


def test_the_clients_show_what_is_wrong(address: str) -> None:
    with bentoml.SyncHTTPClient(address) as client:
        with pytest.raises(bentoml.exceptions.UnprocessableEntity, match="one of them must be"):
            client.predict(POST | {"text": " "})
        with pytest.raises(bentoml.exceptions.UnprocessableEntity, match="'moon' is not one of"):
            client.feedback(post_id="p-1", label="moon")
        with pytest.raises(bentoml.exceptions.BentoMLException, match="at most 700000") as large:
            client.predict(POST | {"image": {"data": "A" * 700_001}})
        assert large.value.error_code == 413
        with pytest.raises(TypeError, match="Missing required arguments"):
            client.feedback(post_id="p-1")


def test_the_schema_and_the_pages_are_there(address: str) -> None:
    schema = httpx.get(f"{address}/schema.json").json()
    assert {route["name"] for route in schema["routes"]} == {
        *("predict", "predict_batch", "explain"),
        *("labels", "version", "feedback"),
    }
    document = httpx.get(f"{address}/docs.json").json()
    assert {f"/{route['name']}" for route in schema["routes"]} == set(document["paths"])
    for page in ("", "docs", "examples", "metrics", "livez", "healthz"):
        assert httpx.get(f"{address}/{page}").status_code == 200, page
    assert "static_content/swagger-ui" in httpx.get(f"{address}/docs").text
    assert httpx.get(f"{address}/static_content/swagger-ui.css").status_code == 200
    assert httpx.get(f"{address}/no/such/path").status_code == 404
    refused = httpx.post(f"{address}/predict", content=b"x" * 1_500_000)
    assert (refused.status_code, refused.json()["code"]) == (413, "too_large")


@pytest.mark.usefixtures("address")
def test_the_end_is_clean_and_nobody_was_told(
    process: tuple["subprocess.Popen[str]", str], output: Path
) -> None:
    server, _ = process
    server.send_signal(signal.SIGTERM)
    assert server.wait(60) == 0
    log = output.read_text()
    assert "Completed cleanup hook: finish" in log
    assert "Tracking" not in log
    for bad in ("Traceback", "ERROR", "UserWarning"):
        assert bad not in log


@pytest.mark.parametrize("broken", [False, True], ids=["no champion", "changed file"])
def test_without_a_whole_model_it_is_one_line(
    broken: bool, model_folder: Path, tmp_path: Path
) -> None:
    import shutil

    settings = Settings(state=tmp_path / "state", rest_port=ports.any_free())
    expected = "there is no champion yet"
    if broken:
        folder = shutil.copytree(model_folder, tmp_path / "model")
        (folder / "config.json").write_bytes((folder / "config.json").read_bytes() + b" ")
        settings = settings.model_copy(update={"model": str(folder)})
        expected = "config.json is changed: the folder does not match its manifest"
    server = start(settings, tmp_path, "services.rest:Covla", tmp_path / "log")
    assert server.wait(120) == 1
    lines = (tmp_path / "log").read_text().splitlines()
    assert expected in lines[-1]
    assert "Traceback" not in "".join(lines)
