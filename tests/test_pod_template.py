"""The pod template says the same as docker-compose.yml and the Dockerfile."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from covla.settings import Settings

ROOT = Path(__file__).parents[1]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SCHEDULER = COMPOSE["services"]["airflow-scheduler"]


@pytest.fixture
def pod() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "airflow-pod.yaml").read_text())
    assert (loaded["apiVersion"], loaded["kind"]) == ("v1", "Pod")
    return loaded["spec"]


@pytest.fixture
def base(pod: dict[str, Any]) -> dict[str, Any]:
    """The container that Airflow's KubernetesExecutor fills in."""
    (container,) = pod["containers"]
    assert container["name"] == "base"
    return dict(container)


def test_it_is_the_image_and_the_user_of_the_other_services(
    pod: dict[str, Any], base: dict[str, Any]
) -> None:
    assert base["image"] == SCHEDULER["image"]
    (user,) = re.findall(r"^USER (\d+)$", (ROOT / "deploy" / "Dockerfile").read_text(), re.M)
    assert pod["securityContext"]["runAsUser"] == int(user)
    assert base["securityContext"]["readOnlyRootFilesystem"] is SCHEDULER["read_only"]


def test_its_settings_are_settings_and_those_of_the_scheduler(base: dict[str, Any]) -> None:
    shared = SCHEDULER["environment"]
    given = {one["name"]: one["value"] for one in base["env"]}
    assert {name: shared[name] for name in given} == given
    ours = [name for name in given if name.startswith("COVLA_")]
    assert all(name.removeprefix("COVLA_").lower() in Settings.model_fields for name in ours)


def test_every_folder_that_is_written_is_a_volume(
    pod: dict[str, Any], base: dict[str, Any]
) -> None:
    mounts = {one["name"]: one["mountPath"] for one in base["volumeMounts"]}
    assert mounts.keys() == {one["name"] for one in pod["volumes"]}
    assert set(SCHEDULER["tmpfs"]) < set(mounts.values())
    assert mounts["state"] == shared_state(base)


def shared_state(base: dict[str, Any]) -> str:
    return str(next(one["value"] for one in base["env"] if one["name"] == "COVLA_STATE"))


def test_its_command_runs_the_arguments_of_the_executor(base: dict[str, Any]) -> None:
    arguments = [sys.executable, "-c", "print('a task')"]
    done = subprocess.run(
        [*base["command"], *arguments], capture_output=True, text=True, check=True
    )
    assert done.stdout == "a task\n"
