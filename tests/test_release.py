"""`make release`, in a clone; and what a repository is expected to have."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from covla import __version__

ROOT = Path(__file__).parents[1]


def run(*command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """This tree as a repository of its own with one commit."""
    folder = tmp_path / "clone"
    files = run("git", "ls-files", folder=ROOT).stdout.splitlines()
    if not files:
        pytest.skip("this is no git checkout")
    for name in filter(lambda name: (ROOT / name).is_file(), files):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes((ROOT / name).read_bytes())
    (folder / ".venv").symlink_to(Path(sys.prefix))
    (folder / ".gitignore").write_text((folder / ".gitignore").read_text() + "/.venv\n")
    run("git", "init", "-q", folder=folder)
    for name, value in (("user.name", "A Person"), ("user.email", "person@localhost")):
        run("git", "config", name, value, folder=folder)
    commit(folder)
    return folder


def commit(folder: Path) -> None:
    run("git", "add", "-A", folder=folder)
    assert run("git", "commit", "-q", "-m", "A change", folder=folder).returncode == 0


def test_a_release_needs_its_version_in_the_changelog(clone: Path) -> None:
    changelog = clone / "CHANGELOG.md"
    told = changelog.read_text().replace("## [Unreleased]\n", "## [Unreleased]\n\n## [9.9.9]\n")
    changelog.write_text(told)
    done = run("sh", "deploy/release.sh", folder=clone)
    assert (done.returncode, "not committed" in done.stderr) == (2, True)
    commit(clone)
    done = run("sh", "deploy/release.sh", folder=clone)
    assert f"CHANGELOG.md has no heading [{__version__}]" in done.stderr
    changelog.write_text(told.replace("## [9.9.9]", f"## [{__version__}] - 2026-12-01"))
    commit(clone)
    done = run("sh", "deploy/release.sh", folder=clone)
    assert done.returncode == 0, done.stderr
    built = sorted(path.name for path in (clone / "dist").iterdir())
    assert f"covla-{__version__}-py3-none-any.whl" in built
    assert f"covla-{__version__}.tar.gz" in built
    assert run("git", "tag", folder=clone).stdout == f"v{__version__}\n"
    assert "is tagged already" in run("sh", "deploy/release.sh", folder=clone).stderr


def test_the_hooks_are_those_of_make_lint() -> None:
    text = (ROOT / ".pre-commit-config.yaml").read_text()
    program = Path(sys.executable).with_name("pre-commit")
    assert run(str(program), "validate-config", folder=ROOT).returncode == 0
    hooks = {hook["entry"] for hook in yaml.safe_load(text)["repos"][0]["hooks"]}
    makefile = (ROOT / "Makefile").read_text()
    recipe = re.search(r"^lint:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert recipe
    lines = re.split(r"\n|&&", recipe[1].replace("$(BIN)", ".venv/bin"))
    assert {line.strip().removesuffix(" .") for line in lines if line.strip()} == hooks
