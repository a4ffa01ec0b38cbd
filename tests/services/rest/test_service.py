"""The REST service as a person starts it: a real process, a trained model, signals."""

import base64
import io
import json
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from PIL import Image

from covla.settings import Settings
from covla.waiting import wait_until
from services.stack import processes

pytestmark = pytest.mark.slow

NOW = "2026-05-01T12:00:00Z"


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(state=tmp_path_factory.mktemp("rest"))


@pytest.fixture
def server(state: Settings, model_folder: Path) -> Iterator["subprocess.Popen[str]"]:
    command = ["serve", "--model", str(model_folder), "--port", "0", "--json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "covla.cli", *command],
        env=state.environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=20)


def _address(server: "subprocess.Popen[str]") -> str:
    assert server.stdout is not None
    return str(json.loads(server.stdout.readline())["address"])


def _picture(kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (80, 60), (40, 120, 200)).save(buffer, kind)
    return buffer.getvalue()


def _post(number: int, **changes: Any) -> dict[str, Any]:
    post = {"post_id": f"p-{number}", "created_at": NOW, "text": f"number {number} at the beach"}
    return post | changes


def test_the_service_answers_refuses_and_ends(
    server: "subprocess.Popen[str]", state: Settings
) -> None:
    address = _address(server)
    record = processes.find(state, "rest")
    assert record is not None
    assert (record.pid, record.address) == (server.pid, address)
    good = base64.b64encode(_picture()).decode()
    with httpx.Client(base_url=address, timeout=60) as client:
        for path in ("/healthz", "/livez", "/readyz", "/", "/docs", "/docs.json", "/examples"):
            assert client.get(path).status_code == 200, path
        answer = client.post("/predict", json=_post(1, image={"data": good}))
        assert answer.headers["model-version"] == answer.json()["model_version"]
        assert answer.json()["modalities"] == ["text", "image"]
        assert sum(answer.json()["probabilities"].values()) == pytest.approx(1, abs=1e-4)
        form = client.post("/predict", data={"text": "hi"}, files={"image": _picture("JPEG")})
        assert form.json()["modalities"] == ["text", "image"]

        why = client.post("/explain", json=_post(1, image={"data": good}))
        assert why.json()["prediction"]["probabilities"] == answer.json()["probabilities"]
        assert len(why.json()["explanation"]["attention"]["words"]) == 5
        png = {"accept": "image/png"}
        drawn = client.post("/explain", json=_post(1, image={"data": good}), headers=png)
        assert drawn.headers["content-type"] == "image/png"
        assert Image.open(io.BytesIO(drawn.content)).width > 1000

        broken = client.post("/predict", files={"image": _picture()[:60]})
        assert (broken.status_code, broken.json()["code"]) == (422, "unreadable_image")
        nothing = client.post("/predict", data={"text": "hi"}, files={"image": ("a.png", b"")})
        assert (nothing.status_code, nothing.json()["field"]) == (422, "image")
        assert "0 bytes" in nothing.json()["error"]
        large = client.post("/predict", files={"image": b"x" * 5_000_000})
        assert (large.status_code, large.json()["code"]) == (413, "too_large")

        batch = [_post(i) for i in range(32)]
        batch[5]["image"] = {"data": base64.b64encode(b"no picture").decode()}
        answers = client.post("/predict_batch", json=batch).json()
        assert [i for i, a in enumerate(answers) if "error" in a] == [5]
        assert [a["post_id"] for a in answers] == [f"p-{i}" for i in range(32)]
        assert 'status="422"' in client.get("/metrics").text

    # What was accepted before SIGTERM is answered; the end is clean and the record gone.
    statuses: list[int] = []
    body = [_post(i, image={"data": good}) for i in range(32)]
    sent = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=address, timeout=60) as client:
            sent.set()
            statuses.append(client.post("/predict_batch", json=body).status_code)

    asking = threading.Thread(target=ask)
    asking.start()
    sent.wait(10)
    for _ in range(500):
        if b"covla_queue_posts 32" in httpx.get(f"{address}/metrics").content or statuses:
            break
    server.send_signal(signal.SIGTERM)
    asking.join(timeout=60)
    assert statuses == [200]
    assert server.wait(timeout=60) == 0
    assert processes.find(state, "rest") is None


def _refused(address: str, headers: bytes, chunk: bytes) -> tuple[bytes, int]:
    """The start of the response, and how many bytes of body were sent before it came."""
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as client:
        client.sendall(
            b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            + headers
            + b"\r\n\r\n"
        )
        sent = 0
        while not select.select([client], [], [], 0.0 if chunk else 30)[0]:
            assert chunk, "no response"
            assert sent < 100_000_000
            try:
                client.sendall(chunk)
            except ConnectionError:
                break  # it came and the connection ended meanwhile; it can still be read
            sent += len(chunk)
        return client.recv(4096), sent


def test_a_large_body_is_refused_before_it_is_read(server: "subprocess.Popen[str]") -> None:
    address = _address(server)
    answer, sent = _refused(address, b"Content-Length: 1000000000", b"")
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert sent == 0
    chunk = b"%x\r\n" % 100_000 + b"x" * 100_000 + b"\r\n"
    answer, sent = _refused(address, b"Transfer-Encoding: chunked", chunk)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert 1_000_000 < sent < 50_000_000  # the limit, and what lies in sockets' buffers
    assert httpx.post(f"{address}/predict", json=_post(1), timeout=60).status_code == 200


def test_io_workers_decode_without_torch_and_end_with_the_server(
    state: Settings, model_folder: Path
) -> None:
    command = ["serve", "--model", str(model_folder), "--port", "0", "--io-workers", "1", "--json"]
    post = _post(1, image={"data": base64.b64encode(_picture()).decode()})
    with subprocess.Popen(
        [sys.executable, "-m", "covla.cli", *command],
        env=state.environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            answer = httpx.post(f"{_address(process)}/predict", json=post, timeout=60)
            assert answer.json()["modalities"] == ["text", "image"]
            workers = [
                child
                for child in psutil.Process(process.pid).children(recursive=True)
                if any("cv2" in place.path for place in child.memory_maps())
            ]
            assert workers
            libraries = {place.path for child in workers for place in child.memory_maps()}
            assert not [path for path in libraries if "torch" in path or "openvino" in path]
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
            assert wait_until(lambda: not any(w.is_running() for w in workers), timeout=20)
        finally:
            process.kill()


def test_a_gpu_that_fails_ends_the_process_for_its_supervisor(
    state: Settings, model_folder: Path
) -> None:
    """The real command, with encoders that fail at the second post as a GPU does."""
    script = (
        "import sys\n"
        "from covla.cli.main import main\n"
        "from covla.errors import DeviceFailed\n"
        "from covla.inference.predictor import Predictor\n"
        "whole = Predictor.predict\n"
        "def predict(self, items):\n"
        "    if any('boom' in item.text for item in items):\n"
        "        raise DeviceFailed('the GPU failed: CUDA error: illegal access')\n"
        "    return whole(self, items)\n"
        "Predictor.predict = predict\n"
        "main()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, "serve", "--model", model_folder, "--port", "0", "--json"],
        env=state.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            address = json.loads(process.stdout.readline())["address"]
            assert httpx.post(f"{address}/predict", json=_post(1), timeout=60).status_code == 200
            failed = httpx.post(f"{address}/predict", json=_post(2, text="boom"), timeout=60)
            assert (failed.status_code, failed.json()["code"]) == (503, "unavailable")
            assert int(failed.headers["retry-after"]) > 0
            assert process.wait(60) == 3
            assert process.stderr is not None
            assert "the GPU failed: CUDA error" in process.stderr.read().splitlines()[-1]
        finally:
            process.kill()


def test_down_ends_a_service_in_the_foreground(
    server: "subprocess.Popen[str]", state: Settings, run_command: Any
) -> None:
    _address(server)
    assert run_command(state, "status", "--json").json["rest"]["healthy"]
    # As a shell does: until its parent has taken note, an ended process still counts as there.
    reaper = threading.Thread(target=server.wait, args=(60,))
    reaper.start()
    assert run_command(state, "down", "--json").json["stopped"] == ["rest"]
    reaper.join(timeout=60)
    assert server.returncode == 0


def test_a_taken_port_is_one_line(state: Settings, model_folder: Path, run_command: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = run_command(state, "serve", "--model", model_folder, "--port", port)
    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr.splitlines()[-1]


def test_without_a_champion_the_error_says_what_to_do(tmp_path: Path, run_command: Any) -> None:
    done = run_command(Settings(state=tmp_path), "serve", "--port", 0)
    assert done.returncode == 2
    assert "there is no champion yet" in done.stderr.splitlines()[-1]
