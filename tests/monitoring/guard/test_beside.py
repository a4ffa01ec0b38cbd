"""Canary and shadow in the guard's hands, on a real registry, real models and a real lake."""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from covla.errors import Refused
from covla.registry.model_folder import write_manifest
from covla.registry.registry import Registry
from covla.registry.rollout import Rollouts
from covla.times import now
from monitoring.alerts.store import kept_alerts
from monitoring.guard.beside import guard_beside
from monitoring.guard.release import guard
from tests.conftest import RunCommand
from tests.monitoring.guard.live_release import predicted_live

pytestmark = pytest.mark.slow


@pytest.fixture
def rollouts(registry: Registry) -> Rollouts:
    return Rollouts(registry.settings)


def test_a_canary_that_is_worse_is_taken_off_once_and_one_alert_says_so(
    rollouts: Rollouts, run_command: RunCommand
) -> None:
    settings = rollouts.settings
    assert guard_beside("canary", settings, now()) is None
    rollouts.start_canary("2", 0.5, force=True)
    waiting = guard(settings).canary
    assert waiting is not None
    assert (waiting.status, waiting.why) == (
        *("waiting", "0 posts predicted, at least 50 are needed"),
    )
    predicted_live(rollouts, canary="2")
    tried = guard(settings, dry_run=True).canary
    assert tried is not None
    assert tried.status == "taken off"
    assert rollouts.aliases() == {"champion": "1", "canary": "2"}

    shown = run_command(settings, "guard", "--json").json
    found = shown["canary"]
    assert (shown["status"], shown["shadow"]) == ("idle", None)
    assert (found["status"], found["version"], found["previous"]) == ("taken off", "2", "1")
    assert (found["posts"], found["labelled"]) == (60, 60)
    assert [one["name"] for one in found["signals"] if one["breach"]] == ["accuracy"]
    assert "Version 2 against 1" in Path(found["report"]).read_text()
    assert rollouts.aliases() == {"champion": "1"}
    bad = next(one for one in rollouts.releases() if one.version == "2")
    assert (bad.gate, bad.rejected_reason) == ("rejected", found["why"])
    (alert,) = kept_alerts(settings)
    assert (alert.opened.kind, alert.opened.subject, alert.closed) == ("release", "2", None)
    assert alert.opened.summary.startswith("version 2, the canary, is taken off: accuracy: right")
    assert len(alert.opened.examples) == 3

    assert guard(settings).canary is None
    assert len(kept_alerts(settings)) == 1
    with pytest.raises(Refused, match="was rejected"):
        rollouts.start_canary("2", 0.1)


def test_an_equal_canary_stays_as_long_as_it_is_one(
    rollouts: Rollouts, model_folder: Path, tmp_path: Path, run_command: RunCommand
) -> None:
    settings = rollouts.settings
    twin = tmp_path / "twin"
    shutil.copytree(model_folder, twin)
    (twin / "manifest.json").unlink()
    (twin / "note.txt").write_text("another digest")
    write_manifest(twin)
    rollouts.start_canary(rollouts.register(twin), 0.5, force=True)
    predicted_live(rollouts, canary="3", labelled=False)
    found = guard(settings, at=now() + timedelta(hours=30)).canary
    assert found is not None
    assert (found.status, found.posts, found.labelled) == ("held", 60, 0)
    assert rollouts.aliases() == {"champion": "1", "canary": "3"}
    assert kept_alerts(settings) == []
    shown = " ".join(run_command(settings, "guard").stdout.split())
    assert "canary status held, why 60 posts, none of 5 signals is worse" in shown


def test_a_shadow_that_is_worse_is_taken_off_too(rollouts: Rollouts) -> None:
    settings = rollouts.settings
    rollouts.start_shadow("2")
    predicted_live(rollouts)
    found = guard(settings).shadow
    assert found is not None
    assert (found.status, found.labelled) == ("taken off", 60)
    assert rollouts.aliases() == {"champion": "1"}
    (alert,) = kept_alerts(settings)
    assert "version 2, the shadow, is taken off" in alert.opened.summary


def test_a_canary_whose_files_were_changed_is_taken_off_before_any_post(
    rollouts: Rollouts,
) -> None:
    settings = rollouts.settings
    before = {*settings.state.rglob("model.safetensors")}
    folder = rollouts.resolve("2")[1]
    mine = [p for p in before if p.with_name("config.json").read_bytes()
            == (folder / "config.json").read_bytes()]  # fmt: skip
    for path in {*mine, folder / "model.safetensors"}:
        path.write_bytes(path.read_bytes()[:-1])
    rollouts.start_canary("2", 0.5, force=True)
    found = guard(settings).canary
    assert found is not None
    assert found.status == "taken off"
    assert found.why.startswith("it cannot be loaded: ")
    assert "model.safetensors" in found.why
    assert rollouts.aliases() == {"champion": "1"}
