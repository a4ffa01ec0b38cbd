"""Each extra of pyproject.toml is enough for the commands that it is named for.

The commands run in processes that find only what the extra's distributions bring, by the metadata
of the installed ones.
"""

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

import httpx
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from covla.inference.convert import convert
from covla.inference.explanation.explain import explain
from covla.inference.predictor import Predictor
from covla.posts.synthetic import generate
from covla.schemas.prediction import Prediction
from covla.settings import Settings

pytestmark = pytest.mark.slow

EARLIER = Path(__file__).parent / "fixtures" / "earlier"
MODEL, POSTS = "MODEL", str(EARLIER / "posts")  # the earlier model, with its networks
TORCH = ["torch", "transformers", "timm", "mlflow"]
START = datetime(2026, 5, 1, tzinfo=UTC)
DAY = "2026-05-01T00:00:00Z/2026-05-02T00:00:00Z"
WITHOUT = """
import importlib.machinery, json, sys
absent, steps = json.loads(sys.argv[1])
find = importlib.machinery.PathFinder.find_spec
importlib.machinery.PathFinder.find_spec = classmethod(
    lambda cls, name, path=None, target=None:
    None if name.partition(".")[0] in absent else find(name, path, target)
)
for modules, command in steps:
    for module in modules:
        importlib.import_module(module)
    if command:
        from covla.cli.main import covla
        covla(command, standalone_mode=False)
"""
TINY = ["--preset", "tiny", "--epochs", "1", "--pretrain-epochs", "0", "--teacher", "none"]


def _brought_by(*extras: str) -> set[str]:
    """Canonical names of the distributions that `covla[extras]` installs here."""
    found: set[str] = set()
    todo = [(canonicalize_name("covla"), frozenset(extras))]
    seen = set()
    while todo:
        name, wanted = todo.pop()
        if (name, wanted) in seen:
            continue
        seen.add((name, wanted))
        found.add(name)
        for text in distribution(name).requires or ():
            needed = Requirement(text)
            marker = needed.marker
            if marker is None or any(marker.evaluate({"extra": e}) for e in ("", *wanted)):
                todo.append((canonicalize_name(needed.name), frozenset(needed.extras)))
    return found


def _absent(*extras: str) -> list[str]:
    here = _brought_by(*extras)
    return [
        module
        for module, owners in packages_distributions().items()
        if not here & {canonicalize_name(owner) for owner in owners}
    ]


@pytest.fixture(scope="module")
def carrying(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The earlier model, converted: a server has no torch to do it."""
    root = tmp_path_factory.mktemp("carrying")
    convert(str(EARLIER / "model"), Settings(state=root / "state"), root / "model")
    return root / "model"


@pytest.mark.parametrize(
    ("extras", "steps", "never"),
    [
        (
            ["serve"],
            [
                ([], ["predict", "--model", MODEL, "--posts", POSTS]),
                ([], ["explain", POSTS, "--id", "syn-3-000001", "--model", MODEL, "--out", "why"]),
                (["services.rest", "services.rest.app", "services.stream"], ["dlq", "--help"]),
            ],
            [*TORCH, "airflow", "evidently", "nncf", "great_expectations", "duckdb", "onnx"],
        ),
        (
            ["features"],
            [
                (["features.ingest", "features.online"], ["features", "apply"]),
                ([], ["features", "training-set", "--window", DAY, "--out", "set.parquet"]),
                ([], ["validate", "--window", DAY]),
            ],
            [*TORCH, "airflow", "evidently", "nncf", "bentoml"],
        ),
        (
            ["train"],
            [
                ([], ["train", "--posts", POSTS, *TINY, "--out", "model"]),
                ([], ["evaluate", "--posts", POSTS, "--model", MODEL]),
                (["covla.evaluation.promotion", "covla.evaluation.study.run"], ["rate", "--help"]),
                (["features.reencode"], ["promote", "--help"]),
                (["covla.inference.export", "covla.model.runtime.quantize"], ["releases"]),
            ],
            ["airflow", "evidently", "feast", "bentoml"],
        ),
        (
            ["monitor"],
            [(["monitoring.watch", "monitoring.report", "monitoring.alerts"], ["drift", "--help"])],
            ["airflow", "feast", "nncf", "bentoml"],
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, list) and isinstance(value[0], str) else "",
)
def test_an_extra_is_enough_for_its_commands(
    extras: list[str],
    steps: list[tuple[list[str], list[str]]],
    never: list[str],
    offline_settings: Settings,
    carrying: Path,
    tmp_path: Path,
) -> None:
    steps = [
        (modules, [str(carrying) if word == MODEL else word for word in command])
        for modules, command in steps
    ]
    shutil.copytree(EARLIER / "lake", offline_settings.lake)
    absent = _absent(*extras)
    assert set(never) <= set(absent)
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, json.dumps([absent, steps])],
        cwd=tmp_path,
        env=offline_settings.environment() | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


SITE = """
import importlib.machinery, json, os, pathlib
absent = json.loads(pathlib.Path(__file__).with_name("absent.json").read_text())
find = importlib.machinery.PathFinder.find_spec
importlib.machinery.PathFinder.find_spec = classmethod(
    lambda cls, name, path=None, target=None:
    None if name.partition(".")[0] in absent else find(name, path, target)
)
"""


def _serve(model: Path, settings: Settings, folder: Path) -> "subprocess.Popen[str]":
    """`covla serve` in processes that find only what `covla[serve]` brings."""
    folder.mkdir()
    (folder / "absent.json").write_text(json.dumps(_absent("serve")))
    (folder / "sitecustomize.py").write_text(SITE)
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "covla.cli",
            "serve",
            "--model",
            str(model),
            "--port",
            "0",
            "--json",
        ],
        env=settings.environment() | {"PYTHONPATH": os.pathsep.join([str(folder), *sys.path])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_server_answers_and_explains_without_torch_as_predict_does_with_it(
    carrying: Path, offline_settings: Settings, tmp_path: Path
) -> None:
    posts = [line.post for line, _ in generate(4, 3, START, START + timedelta(hours=1))]
    with_torch = Predictor.load(EARLIER / "model", offline_settings)
    server = _serve(carrying, offline_settings, tmp_path / "site")
    try:
        assert server.stdout is not None
        line = server.stdout.readline()
        assert line, server.communicate(timeout=20)[1][-3000:]
        address = json.loads(line)["address"]
        with httpx.Client(base_url=address, timeout=60) as client:
            for post in posts:
                (expected,) = with_torch.predict([post])
                assert isinstance(expected, Prediction)
                said = client.post("/predict", json=json.loads(post.to_json())).json()
                assert said["probabilities"] == expected.probabilities  # bit for bit
                assert said["gate"] == expected.gate
                why = client.post("/explain", json=json.loads(post.to_json())).json()
                other = json.loads(explain(with_torch, post).to_json())["explanation"]
                assert why["explanation"] == other
    finally:
        server.terminate()
        server.communicate(timeout=60)
    assert server.returncode == 0


def test_an_older_folder_without_torch_is_one_line_that_names_the_command(
    tmp_path: Path,
) -> None:
    fresh = Settings(
        state=tmp_path / "state", device="cpu"
    )  # with no converted network in its cache
    server = _serve(EARLIER / "model", fresh, tmp_path / "site")
    _, errors = server.communicate(timeout=120)
    assert server.returncode == 2, errors[-3000:]
    assert "torch is not installed" in errors
    assert "covla convert MODEL --out FOLDER" in errors
    assert "Traceback" not in errors
