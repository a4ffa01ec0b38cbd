"""The wheel, installed where there is no checkout: it holds all that its commands and DAGs need."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from covla.cli.main import COMMANDS

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
PACKAGES = ("bench", "covla", "dags", "features", "monitoring", "services")
UV = str(Path(sys.executable).with_name("uv"))
DAY = "2026-05-01T00:00:00Z/2026-05-02T00:00:00Z"


def tracked() -> list[str]:
    """The files of this checkout."""
    done = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    files = [name for name in done.stdout.splitlines() if (ROOT / name).is_file()]
    if not files:
        pytest.skip("this is no git checkout")
    return files


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel, and an empty folder to work in."""

    environment: Path
    folder: Path

    def run(self, *command: str) -> str:
        """The stdout of a program of the environment, run in the folder."""
        programs = self.environment / "bin"
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "AIRFLOW_"))}
        done = subprocess.run(
            [programs / command[0], *command[1:]],
            cwd=self.folder,
            env=kept
            | {
                "PATH": f"{programs}:{os.environ['PATH']}",
                "VIRTUAL_ENV": str(self.environment),
                "COVLA_STATE": str(self.folder / "state"),
                "AIRFLOW_HOME": str(self.folder / "airflow"),
                "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    def json(self, *command: str) -> dict[str, Any]:
        """The last line that it prints."""
        value: dict[str, Any] = json.loads(self.run(*command).splitlines()[-1])
        return value


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as deploy/release.sh builds it: a source archive, and the wheel from that."""
    source, dist = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for name in tracked():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, source / name)
    build = [UV, "build", "-q", "--offline", "--no-build-isolation", "--python", sys.executable]
    subprocess.run([*build, "--out-dir", str(dist)], cwd=source, check=True)
    (built,) = dist.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel in an environment that shares the other packages of this one, and not covla."""
    environment = tmp_path_factory.mktemp("environment") / "venv"
    subprocess.run([UV, "venv", "-q", "--python", sys.executable, str(environment)], check=True)
    python = environment / "bin" / "python"
    install = [UV, "pip", "install", "-q", "--offline", "--no-deps", "--python", str(python)]
    subprocess.run([*install, str(wheel)], check=True)
    # A line of a .pth file comes after what is installed here, and the .pth files of the folder
    # that it names are not read: nothing leads to the checkout.
    (site,) = environment.glob("lib/python*/site-packages")
    (site / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return Installed(environment, tmp_path_factory.mktemp("empty"))


def test_every_file_of_the_packages_is_in_the_wheel(wheel: Path) -> None:
    there = set(zipfile.ZipFile(wheel).namelist())
    ours = {name for name in tracked() if name.startswith(tuple(f"{p}/" for p in PACKAGES))}
    # Records of past measurements.
    assert {name for name in ours - there if not name.startswith("bench/results/")} == set()
    assert {name for name in there - ours if ".dist-info/" not in name} == set()
    assert "dags/.airflowignore" in there


def test_the_code_and_its_files_are_the_wheels(installed: Installed) -> None:
    probe = """
import asyncio, importlib.util, json, sys
import covla, features, monitoring, services
from services import playground
from services.stack import airflow, jars

print(json.dumps({
    "path": sys.path,
    "places": [module.__file__ for module in (covla, features, monitoring, services)],
    "dags": str(airflow.DAGS),
    "tests": importlib.util.find_spec("tests") is not None,
    "jars": sorted(jars.pinned()),
    "page": asyncio.run(playground.page(None)).body.decode(),
}))
"""
    told = installed.json("python", "-c", probe)
    for place in [*told["places"], told["dags"]]:
        assert Path(place).is_relative_to(installed.environment)
    assert str(ROOT) not in told["path"]
    assert not told["tests"]
    # What the demo starts Kafka with, and serves.
    assert [name for name in told["jars"] if name.startswith("kafka_2.13-")]
    assert "<html" in told["page"]
    assert "{{" not in told["page"]


def test_bentoml_loads_the_service_from_the_wheel(installed: Installed) -> None:
    probe = """
import json, sys
import bentoml

service = bentoml.load("services.rest:Covla")
place = sys.modules["services.rest"].__file__
print(json.dumps({"place": place, "apis": sorted(service.apis), "torch": "torch" in sys.modules}))
"""
    told = installed.json("python", "-c", probe)
    assert Path(told["place"]).is_relative_to(installed.environment)
    assert told["apis"] == ["explain", "feedback", "labels", "predict", "predict_batch", "version"]
    assert not told["torch"]  # the model is loaded when it is served


def test_the_commands_work_in_an_empty_folder(installed: Installed) -> None:
    told = installed.run("covla", "--help")
    assert [name for name in COMMANDS if f"\n  {name} " not in told] == []
    run = installed.json
    size = ("--posts", "60", "--seed", "1", "--window", DAY)
    assert run("covla", "synthesize", "posts", *size, "--json")["posts"] == 60
    little = ("--preset", "tiny", "--teacher", "none", "--epochs", "1", "--pretrain-epochs", "0")
    trained = run("covla", "train", "--posts", "posts", *little, "--seed", "1", "--json")
    folder = Path(trained["folder"])
    assert folder.is_relative_to(installed.folder / "state")
    asked = ("--model", str(folder), "--posts", "posts", "--split", "test", "--json")
    *predictions, count = installed.run("covla", "predict", *asked).splitlines()
    assert len(predictions) > 0
    assert all("label" in json.loads(line) for line in predictions)
    assert json.loads(count)["predicted"] == len(predictions)
    # Feast's definitions are in the wheel too.
    assert run("covla", "features", "rebuild", "--json")["post_content"] == 0


def test_airflow_reads_the_dags_where_the_wheel_put_them(installed: Installed) -> None:
    probe = """
import json, os
from services.stack.airflow import DAGS

os.environ["AIRFLOW__CORE__PLUGINS_FOLDER"] = str(DAGS / "plugins")
from airflow.dag_processing.dagbag import BundleDagBag

bag = BundleDagBag(DAGS, bundle_path=DAGS, bundle_name="dags-folder")
files = sorted(stat.file for stat in bag.dagbag_stats)
print(json.dumps({"dags": sorted(bag.dags), "errors": bag.import_errors, "files": files}))
"""
    told = installed.json("python", "-c", probe)
    names = [
        *("backfill_predictions", "distill_teacher", "guard_release", "housekeeping"),
        *("monitor_drift", "retrain_covla", "rollback", "validate_posts"),
    ]
    assert told == {"dags": names, "errors": {}, "files": [f"{name}.py" for name in names]}
