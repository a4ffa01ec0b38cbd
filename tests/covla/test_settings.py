"""Settings that cannot work are refused at the start, in one line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from covla.settings import Settings


@pytest.mark.parametrize(
    "name", ["a\nb", "a\tb", "a\x7fb", "a\\b", "a*", "a::b", "a$HOME", "a\udcffb", "a\x00b"]
)
def test_a_state_folder_that_cannot_work_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValidationError, match="not every part can work with"):
        Settings(state=tmp_path / name)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("COVLA_STATE", "a\nb"),
        ("COVLA_REST_PORT", "many"),
        ("COVLA_UNREADABLE_IMAGE", "maybe"),
        ("COVLA_API_KEYS", "maybe"),
        ("COVLA_MAX_IMAGE_PIXELS", "1000000000"),
    ],
)
def test_a_wrong_setting_is_one_line(tmp_path: Path, name: str, value: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "covla.cli", "features", "get", "p1"],
        env=os.environ | {"COVLA_STATE": str(tmp_path), name: value},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"covla: {name}: ")
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_home_is_the_same_for_this_process_and_its_children(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = Settings(state=Path("~/covla"))
    assert settings.lake == tmp_path / "covla" / "lake"
    assert settings.environment()["COVLA_STATE"] == str(tmp_path / "covla")


def test_the_working_folder_is_part_of_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a$b").mkdir()
    monkeypatch.chdir(tmp_path / "a$b")
    with pytest.raises(ValidationError, match="not every part can work with"):
        Settings(state=Path(".state"))
    with pytest.raises(ValidationError, match="home directory"):
        Settings(state=Path("~nobody-of-that-name/state"))


def test_a_webhook_is_a_web_address_or_none() -> None:
    for address in ("http://hooks/a", "https://hooks.slack.com/services/T/B/x"):
        kept = Settings(webhook_url=SecretStr(address)).webhook_url
        assert kept is not None
        assert kept.get_secret_value() == address
        assert address not in f"{Settings(webhook_url=SecretStr(address))!r}"
    assert Settings(webhook_url=SecretStr("")).webhook_url is None
    for address in ("hooks.slack.com/x", "ftp://hooks/x", "http://", "file:///etc/x"):
        with pytest.raises(ValidationError, match="no http:// or https:// address"):
            Settings(webhook_url=SecretStr(address))
