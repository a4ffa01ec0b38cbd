"""Model versions on a real MLflow store: who goes, and what stays of whom."""

import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from covla.errors import CovlaError, Refused
from covla.registry import mlflow_client
from covla.registry.model_folder import write_manifest
from covla.registry.registry import Registry
from covla.registry.removal import remove_version
from covla.registry.stored import stored_versions
from covla.settings import Settings
from services.housekeeping.files import files_of
from services.housekeeping.run import housekeeping
from tests.services.housekeeping.conftest import age, killed_after

pytestmark = pytest.mark.slow

LATER = timedelta(days=100)  # every version is older than its retention then


@pytest.fixture
def settings(tmp_path: Path, mlflow_database: Path) -> Settings:
    """Versions: 1 was champion before 2 and failed 3; 4 failed, 5 was taken back, 6 is new."""
    settings = Settings(state=tmp_path)
    file = mlflow_client.sqlite_file(settings)
    assert file is not None
    file.parent.mkdir(parents=True)
    shutil.copy(mlflow_database, file)
    registry = Registry(settings)
    for number in range(1, 7):
        folder = settings.models / f"model-{number}"
        folder.mkdir(parents=True)
        (folder / "metrics.json").write_text(f'{{"accuracy": 0.{number}}}')
        write_manifest(folder)
        assert registry.register(folder) == str(number)
        registry.resolve(str(number))  # into the cache
        page = settings.reports / "gate" / f"{number}-against-1.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        page.touch()
    for version, gate in (("1", "passed"), ("3", "failed"), ("4", "failed"), ("5", "rolled back")):
        registry.tag(version, gate=gate)
    registry.tag("2", gate="failed", gate_report=settings.reports / "gate" / "5-against-1.html")
    registry.promote("1", force=True)
    registry.promote("2", force=True)
    registry.challenge("3")
    return settings


@pytest.fixture
def aged(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The clock of housekeeping stands 100 days later, and nothing was used since."""
    monkeypatch.setattr("services.housekeeping.run.now", lambda: datetime.now(UTC) + LATER)
    return settings


def artifacts(settings: Settings) -> int:
    return sum(1 for _ in files_of(settings.state / "mlflow" / "artifacts"))


def folders(settings: Settings) -> list[str]:
    return sorted(path.name for path in settings.models.iterdir())


def test_refused_versions_go_and_what_has_an_alias_stays(aged: Settings) -> None:
    before = artifacts(aged)
    planned = housekeeping(aged, dry_run=True)
    assert artifacts(aged) == before
    done = housekeeping(aged)
    assert planned.freed == done.freed
    # Of 4 and 5: two files in STATE/models and two in MLflow, each.
    assert done.freed["models"].files == 8
    assert [v.version for v in stored_versions(aged)] == ["1", "2", "3", "6"]
    assert folders(aged) == [f"model-{n}" for n in (1, 2, 3, 6)]
    assert artifacts(aged) == before - 4
    for ref in ("champion", "previous", "challenger", "6"):
        Registry(aged).resolve(ref)
    with pytest.raises(CovlaError, match="no version '4'"):
        Registry(aged).resolve("4")
    assert housekeeping(aged).freed["models"].files == 0


def test_nothing_goes_before_its_time(settings: Settings) -> None:
    assert housekeeping(settings).as_dict()["files"] == 0
    assert len(stored_versions(settings)) == 6


def test_caches_and_gate_reports_of_what_may_serve_stay(aged: Settings) -> None:
    old = datetime.now(UTC) - timedelta(days=300)
    for folder in (aged.cache, aged.reports):
        for path, _ in files_of(folder):
            age(path, old)
    needed = {v.digest for v in stored_versions(aged) if v.aliases}
    housekeeping(aged)
    assert {path.name for path in (aged.cache / "models").iterdir()} == needed
    # 5-against-1 is what a tag of version 2 names.
    pages = sorted(path.name for path in (aged.reports / "gate").iterdir())
    assert pages == [f"{n}-against-1.html" for n in (1, 2, 3, 5)]


@pytest.mark.parametrize("steps", range(0, 12, 3))
def test_killed_anywhere_a_second_run_ends_the_work(aged: Settings, steps: int) -> None:
    before = artifacts(aged)
    with killed_after(steps):
        housekeeping(aged)
    for ref in ("champion", "previous", "challenger"):
        Registry(aged).resolve(ref)
    housekeeping(aged)
    assert [v.version for v in stored_versions(aged)] == ["1", "2", "3", "6"]
    assert (artifacts(aged), len(folders(aged))) == (before - 4, 4)


def test_a_training_that_was_cut_off_goes_and_one_that_runs_stays(aged: Settings) -> None:
    for name in ("cut.work", "runs.work"):
        (aged.models / name).mkdir()
        (aged.models / name / "plan.txt").touch()
    now = datetime.now(UTC)
    age(aged.models / "runs.work" / "plan.txt", now + LATER)
    os.utime(aged.models / "cut.work" / "plan.txt")
    housekeeping(aged)
    assert [name for name in folders(aged) if name.endswith(".work")] == ["runs.work"]


def test_what_has_become_champion_meanwhile_is_not_removed(settings: Settings) -> None:
    (four,) = [v for v in stored_versions(settings) if v.version == "4"]
    Registry(settings).promote("4", force=True)
    with pytest.raises(Refused, match="version 4 is champion and stays"):
        remove_version(four, settings)
    Registry(settings).resolve("champion")
