"""canary, shadow and promote --canary as a person runs them."""

from pathlib import Path

import pytest

from covla.registry.registry import Registry
from covla.settings import Settings
from tests.conftest import RunCommand
from tests.covla.cli.test_releases import _version

pytestmark = pytest.mark.slow


@pytest.fixture
def registry(offline_settings: Settings, tmp_path: Path) -> Registry:
    """Version 1 is the champion, version 2 passed the gate, version 3 did not."""
    registry = Registry(offline_settings)
    for i in range(3):
        _version(registry, tmp_path / str(i), 0.5 + i / 10)
    registry.promote("1", force=True)
    registry.tag("2", gate="passed")
    registry.tag("3", gate="failed")
    return registry


def test_a_canary_from_its_first_post_to_its_promotion(
    registry: Registry, run_command: RunCommand
) -> None:
    settings = registry.settings
    wrong = run_command(settings, "canary", "2", "--weight", "1.5")
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("covla: the weight of a canary is 1.5, and has to be from 0 to")
    refused = run_command(settings, "canary", "3", "--weight", "0.1")
    assert refused.returncode == 4
    assert "did not pass the gate" in refused.stderr
    begun = run_command(settings, "canary", "2", "--weight", "0.1", "--json")
    assert begun.json == {"canary": "2", "weight": 0.1, "forced": False}
    assert "canary 0.1" in run_command(settings, "releases").stdout
    more = run_command(settings, "promote", "2", "--canary", "0.5", "--json")
    assert (more.returncode, more.json["promoted"], more.json["canary"]) == (0, False, 0.5)
    assert registry.champion() == "1"
    done = run_command(settings, "promote", "2", "--json").json
    assert (done["promoted"], done["canary"]) == (True, None)
    assert registry.aliases() == {"champion": "2", "previous": "1"}


def test_off_takes_one_off_once(registry: Registry, run_command: RunCommand) -> None:
    settings = registry.settings
    assert run_command(settings, "shadow", "3", "--json").json == {"shadow": "3"}
    assert run_command(settings, "canary", "3", "--weight", "0", "--force").returncode == 0
    assert "forced" in run_command(settings, "releases").stdout
    assert run_command(settings, "canary", "--off", "--json").json == {"canary": None, "was": "3"}
    assert run_command(settings, "shadow", "--off", "--json").json == {"shadow": None, "was": "3"}
    again = run_command(settings, "shadow", "--off")
    assert again.returncode == 4
    assert "there is no shadow" in again.stderr
    for unclear in (("canary",), ("canary", "2"), ("canary", "2", "--off"), ("shadow",)):
        assert run_command(settings, *unclear).returncode == 2
