"""A real MLflow server, read without MLflow: the same versions and files, errors that name it."""

import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from covla.errors import CovlaError, ServiceUnavailable
from covla.registry import mlflow_client, mlflow_http
from covla.registry.artifacts import PATH
from covla.registry.registry import Registry
from covla.registry.releases import NAME
from covla.registry.rollout import Rollouts
from covla.settings import Settings
from services.stack import mlflow, ports, processes

from .conftest import MakeFolder

pytestmark = pytest.mark.slow


@pytest.fixture
def server(settings: Settings) -> Iterator[Settings]:
    """A state folder with an MLflow server on it, and settings of a machine that has it alone."""
    here = Settings(state=settings.state, mlflow_port=ports.any_free())
    process = mlflow.start(here)
    try:
        yield Settings(state=settings.state / "elsewhere", mlflow_uri=process.address)
    finally:
        processes.stop(here, mlflow.NAME)


def test_what_serves_finds_versions_aliases_and_files_without_mlflow(
    server: Settings, make_folder: MakeFolder, tmp_path: Path
) -> None:
    assert Registry(server).champion() is None
    folder = make_folder()
    (folder / "networks").mkdir()
    (folder / "networks" / "text.bin").write_bytes(bytes(3 * 2**20))
    (folder / "manifest.json").unlink()
    from covla.registry.model_folder import write_manifest

    digest = write_manifest(folder)
    version = Registry(server).register(folder)
    Registry(server).promote(version, force=True)
    code = (
        "import sys\nsys.modules['mlflow'] = None\n"
        "from covla.registry.releases import ReadOnlyRegistry\n"
        "from covla.settings import Settings\n"
        f"registry = ReadOnlyRegistry(Settings(state={str(tmp_path / 'third')!r}, "
        f"mlflow_uri={server.mlflow!r}))\n"
        "print(registry.champion(), *registry.resolve('champion'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [version, version, str(tmp_path / "third/cache/models" / digest)]

    store = mlflow_client.client(server)
    (theirs,) = store.search_model_versions(f"name = '{NAME}'")
    (ours,) = mlflow_http.model_versions(NAME, server)
    assert (ours.version, ours.run_id, ours.tags, ours.creation_timestamp) == (
        str(theirs.version), theirs.run_id, dict(theirs.tags), theirs.creation_timestamp,
    )  # fmt: skip
    with pytest.raises(CovlaError, match=r"mlflow: .*not found"):
        mlflow_http.aliases("nobody", server)
    with pytest.raises(CovlaError, match=r"mlflow: "):
        mlflow_http.download("f" * 32, PATH, tmp_path, server)


def test_what_serves_finds_canary_and_shadow_without_mlflow(
    server: Settings, make_folder: MakeFolder, tmp_path: Path
) -> None:
    registry = Rollouts(server)
    first, second = (registry.register(make_folder(accuracy)) for accuracy in (0.5, 0.6))
    registry.promote(first, force=True)
    registry.start_canary(second, 0.25, force=True)
    registry.start_shadow(second)
    code = (
        "import sys\nsys.modules['mlflow'] = None\n"
        "from covla.registry.rollout import read_rollout, read_shadow\n"
        "from covla.settings import Settings\n"
        f"settings = Settings(state={str(tmp_path / 'third')!r}, mlflow_uri={server.mlflow!r})\n"
        "found = read_rollout(settings)\n"
        "print(found.champion, found.canary, found.weight, read_shadow(settings))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [first, second, "0.25", second]


@pytest.fixture
def odd(request: pytest.FixtureRequest) -> Iterator[str]:
    """A server that answers everything alike."""
    status, body = request.param

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{served.server_port}"
        served.shutdown()


@pytest.mark.parametrize(
    "odd",
    [
        (200, b"<html>"), (200, b"[]"), (200, b'{"model_versions": [{}]}'), (502, b""),
        (500, b'{"error_code": "INTERNAL_ERROR", "message": "no"}'), (401, b"log in"),
    ],
    indirect=True,
)  # fmt: skip
def test_a_server_that_cannot_answer_is_named(odd: str, tmp_path: Path) -> None:
    with pytest.raises(ServiceUnavailable, match=f"mlflow at {odd} does not answer") as error:
        Registry(Settings(state=tmp_path, mlflow_uri=odd)).champion()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "odd",
    [(200, b'{"files": [{"path": "model/../../out", "is_dir": false}]}')],
    indirect=True,
)
def test_a_file_outside_its_folder_is_not_written(odd: str, tmp_path: Path) -> None:
    settings = Settings(state=tmp_path / "state", mlflow_uri=odd)
    with pytest.raises(CovlaError, match="outside its folder"):
        mlflow_http.download("r", PATH, tmp_path / "files", settings)
    assert not (tmp_path / "out").exists()
