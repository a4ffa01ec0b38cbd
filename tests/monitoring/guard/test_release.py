"""The guard on a real registry, real models and a real lake."""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from covla.errors import Refused
from covla.registry.model_folder import write_manifest
from covla.registry.registry import Registry
from covla.times import now
from monitoring.alerts.store import kept_alerts
from monitoring.guard.release import guard
from tests.conftest import RunCommand
from tests.monitoring.guard.live_release import predicted_live

pytestmark = pytest.mark.slow


def test_a_forced_bad_version_is_taken_back_once_and_one_alert_says_so(
    registry: Registry, run_command: RunCommand
) -> None:
    settings = registry.settings
    assert guard(settings).status == "idle"
    registry.promote("2", force=True)
    assert guard(settings).why == "0 posts predicted, at least 50 are needed"
    predicted_live(registry)

    assert guard(settings, dry_run=True).status == "rolled back"
    assert registry.champion() == "2"

    found = run_command(settings, "guard", "--json").json
    assert (found["status"], found["version"], found["previous"]) == ("rolled back", "2", "1")
    assert (found["posts"], found["labelled"]) == (60, 60)
    assert [one["name"] for one in found["signals"] if one["breach"]] == ["accuracy"]
    page = Path(found["report"]).read_text()
    assert "Version 2 against 1" in page
    assert registry.champion() == "1"
    bad = next(one for one in registry.releases() if one.version == "2")
    assert (bad.gate, bad.rejected_reason) == ("rejected", found["why"])
    (alert,) = kept_alerts(settings)
    assert (alert.opened.kind, alert.opened.subject, alert.closed) == ("release", "2", None)
    assert "accuracy: right on" in alert.opened.summary
    assert len(alert.opened.examples) == 3

    again = guard(settings)
    assert (again.status, again.why) == ("idle", "version 1 replaced no other one")
    assert registry.champion() == "1"
    (alert,) = kept_alerts(settings)
    assert alert.closed is not None
    with pytest.raises(Refused, match="was rejected"):
        registry.promote("2")


def test_an_equal_version_holds_and_is_guarded_for_its_time_alone(
    registry: Registry, model_folder: Path, tmp_path: Path
) -> None:
    settings = registry.settings
    twin = tmp_path / "twin"
    shutil.copytree(model_folder, twin)
    (twin / "manifest.json").unlink()
    (twin / "note.txt").write_text("another digest")
    write_manifest(twin)
    version = registry.register(twin)
    registry.promote(version, force=True)
    predicted_live(registry, labelled=False)
    found = guard(settings)
    assert (found.status, found.posts, found.labelled) == ("held", 60, 0)
    assert {one.name for one in found.signals} == {
        *("confidence", "labels", "text weight", "errors", "latency"),
    }
    assert registry.champion() == version
    later = guard(settings, at=now() + timedelta(hours=25))
    assert (later.status, later.why) == ("idle", f"version {version} held for 24 hours")
