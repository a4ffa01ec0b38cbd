"""The code names itself."""

import re
import shutil
from pathlib import Path

import pytest

import covla.code_version
from covla import __version__


@pytest.fixture(autouse=True)
def fresh() -> None:
    covla.code_version.code_version.cache_clear()


def test_a_checkout_adds_its_commit() -> None:
    assert re.fullmatch(
        re.escape(__version__) + r"(\+[0-9a-f]{40}(-dirty)?)?", covla.code_version.code_version()
    )


def test_without_a_checkout_or_git_it_is_the_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(covla.code_version, "__file__", str(tmp_path / "covla" / "x.py"))
    assert covla.code_version.code_version() == __version__
    covla.code_version.code_version.cache_clear()
    (tmp_path / ".git").mkdir()  # of nothing
    assert covla.code_version.code_version() == __version__
    covla.code_version.code_version.cache_clear()
    monkeypatch.setenv("PATH", "")
    assert shutil.which("git") is None
    assert covla.code_version.code_version() == __version__
