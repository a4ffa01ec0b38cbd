"""`covla keys`: a key is shown once, listed without its secret, and ends."""

from pathlib import Path
from typing import Any

import pytest

from covla.api_keys import load_keys
from covla.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state=tmp_path / "state")


def test_a_key_from_first_to_last(settings: Settings, run_command: Any) -> None:
    scopes = ("--scope", "explain", "--scope", "predict")
    made = run_command(settings, "keys", "add", "phone", *scopes, "--per-minute", 60, "--json").json
    (key,) = load_keys(settings)
    assert key.matches(made["key"])
    assert made["scopes"] == ["predict", "explain"]
    listed = run_command(settings, "keys", "list", "--json")
    row = listed.json["keys"][key.id]
    assert (row["name"], row["per_minute"], row["revoked_at"]) == ("phone", 60, None)
    assert made["key"][-20:] not in listed.stdout
    ended = run_command(settings, "keys", "revoke", "phone", "--json").json
    assert ended == {"revoked": key.id, "name": "phone"}
    shown = run_command(settings, "keys", "list")
    assert "predict,explain" in shown.stdout
    again = run_command(settings, "keys", "revoke", "phone")
    assert again.returncode == 2
    assert "no key 'phone' is in use" in again.stderr.splitlines()[-1]


def test_for_people_it_says_what_to_do(settings: Settings, run_command: Any) -> None:
    assert "covla keys add NAME" in run_command(settings, "keys", "list").stderr
    added = run_command(settings, "keys", "add", "desk", "--scope", "predict")
    assert "not shown again" in added.stderr
    assert "covla_" in added.stdout
    no_scope = run_command(settings, "keys", "add", "other")
    assert no_scope.returncode == 2
    assert "--scope" in no_scope.stderr
