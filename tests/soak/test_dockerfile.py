"""deploy/Dockerfile as far as it goes without a container engine: its build steps in fresh folders,
then the image's entry point as its user, with a read-only root."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rehearsed import ROOT, needs_namespaces

DOCKERFILE = ROOT / "deploy" / "Dockerfile"
PYTHON = "3.12"
# How this machine reaches a package index.
INDEX = ("PIP_", "UV_", "SSL_", "REQUESTS_", "HTTP", "http", "NO_PROXY", "no_proxy")


def _python() -> Path | None:
    """A Python of the image's version."""
    found = [
        shutil.which(f"python{PYTHON}"),
        *Path.home().glob(f".pyenv/versions/{PYTHON}*/bin/python"),
    ]
    for each in filter(None, found):
        done = subprocess.run([str(each), "--version"], capture_output=True, text=True, check=False)
        if f" {PYTHON}." in done.stdout:
            return Path(each).resolve()
    return None


def _bound(*words: str, python: Path, folder: Path) -> list[str]:
    """bubblewrap with the system read-only and `folder`/opt, app and build in their places."""
    command = ["bwrap", "--die-with-parent", "--unshare-user", "--unshare-pid", "--proc", "/proc"]
    command += ["--dev", "/dev", "--tmpfs", "/tmp", "--ro-bind", "/usr", "/usr"]
    command += ["--ro-bind", "/etc", "/etc", "--ro-bind", "/sys", "/sys"]
    for name in ("bin", "lib", "lib64", "sbin"):
        command += ["--symlink", f"usr/{name}", f"/{name}"]
    root = python.parents[1]
    command += ["--ro-bind", str(root), str(root)] if root != Path("/usr") else []
    for name in ("opt", "app", "build", "image", "home"):
        (folder / name).mkdir(exist_ok=True)
        command += ["--bind", str(folder / name), f"/{name}"]
    return [*command, *words]


def run(command: list[str], **environment: str) -> str:
    kept = {key: value for key, value in os.environ.items() if key.startswith(INDEX)}
    done = subprocess.run(
        command,
        env=kept | {"PATH": "/image/bin:/usr/local/bin:/usr/bin:/bin"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


def test_the_linter_has_nothing_to_say() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, DOCKERFILE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.timeout(1800)
@needs_namespaces
@pytest.mark.parametrize("extras", ["serve", "all"])
def test_the_image_is_built_and_starts_without_rights(extras: str, tmp_path: Path) -> None:
    python = _python()
    if python is None:
        pytest.skip(f"no Python {PYTHON} here")
    base = _bound(
        "--uid", "0", "--gid", "0", "--chdir", "/app", "--", python=python, folder=tmp_path
    )
    run([*base, str(python), "-m", "venv", "/image"], HOME="/home")
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, stdout=subprocess.PIPE, check=True)
    for name in tracked.stdout.decode().splitlines():
        (tmp_path / "app" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, tmp_path / "app" / name)
    for name in ("requirements.lock", "pyproject.toml"):
        shutil.copy2(ROOT / name, tmp_path / "build")
    build = DOCKERFILE.read_text().split("\nFROM ")[1]
    steps = re.findall(r"^RUN ((?:.*\\\n)*.*)$", build, re.MULTILINE)
    assert len(steps) == 3
    for step in steps:
        run([*base, "sh", "-ec", step], HOME="/home", EXTRAS=extras)
    size = sum(file.lstat().st_size for file in (tmp_path / "opt").rglob("*"))
    print(f"/opt/venv holds {size / 1e9:.1f} GB with {extras}")
    user = ["--uid", "10001", "--gid", "10001", "--ro-bind", str(tmp_path / "opt"), "/opt"]
    user += [
        "--ro-bind",
        str(tmp_path / "app"),
        "/app",
        "--remount-ro",
        "/",
        "--chdir",
        "/app",
        "--",
    ]
    image = _bound(*user, python=python, folder=tmp_path)
    environment = {"PATH": "/opt/venv/bin:/usr/bin:/bin", "HOME": "/tmp"}
    assert "covla" in run([*image, "covla", "--help"], **environment)
    assert "touch: cannot touch '/app/x'" in run([*image, "sh", "-c", "touch /app/x || true"])
    if extras == "all":
        assert run([*image, "airflow", "version"], **environment).strip().startswith("3.")
    else:
        assert "--metrics-port" in run([*image, "covla", "stream", "--help"], **environment)
        parts = run([*image, "ls", "/opt/venv/bin"], **environment).split()
        assert {"covla", "bentoml"} <= set(parts)
        assert not {"airflow", "evidently"} & set(parts)
