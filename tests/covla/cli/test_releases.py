"""releases and rollback as a person runs them."""

from pathlib import Path

import pytest

from covla.registry.model_folder import write_manifest
from covla.registry.registry import Registry
from covla.settings import Settings
from tests.conftest import RunCommand

pytestmark = pytest.mark.slow

REASON = (
    "recall of transport: 0.2500 against the champion's 0.8125, a gain of at most -0.3125; "
    "allowed is -0.0200"
)


def _version(registry: Registry, folder: Path, accuracy: float) -> str:
    folder.mkdir()
    (folder / "metrics.json").write_text(f'{{"accuracy": {accuracy}, "macro_f1": 0.5}}')
    hours = "2026-05-01T00:00:00+00:00/2026-05-08T00:00:00+00:00"
    (folder / "training.json").write_text(f'{{"preset": "base", "window": "{hours}"}}')
    write_manifest(folder)
    return registry.register(folder)


def test_each_version_says_why_it_serves_or_does_not(
    offline_settings: Settings, tmp_path: Path, run_command: RunCommand
) -> None:
    registry = Registry(offline_settings)
    one, two, three = (_version(registry, tmp_path / str(i), 0.5 + i / 10) for i in range(3))
    registry.tag(one, gate="passed")
    registry.promote(one)
    registry.tag(three, gate="failed", gate_reasons=f"{REASON}\n1 - ECE: worse")
    registry.tag(two, gate="passed", gate_against=one)
    registry.promote(two)

    late = run_command(offline_settings, "rollback", "--version", one, "--reason", "slow")
    assert late.returncode == 4
    (line,) = late.stderr.splitlines()
    assert f"version {one} is not the champion: {two} serves" in line
    back = run_command(offline_settings, "rollback", "--version", two, "--reason", "slow", "--json")
    assert back.json == {"champion": one, "rolled_back": two}
    again = run_command(offline_settings, "promote", two)
    assert again.returncode == 4
    assert f"version {two} was rejected: slow" in again.stderr
    assert "--force" in again.stderr

    newest, rejected, oldest = run_command(offline_settings, "releases", "--json").json["releases"]
    assert newest["gate_reasons"] == [REASON, "1 - ECE: worse"]
    assert (newest["gate"], newest["promoted_at"]) == ("failed", None)
    assert (rejected["gate"], rejected["rejected_reason"]) == ("rejected", "slow")
    assert (rejected["replaced"], oldest["replaced"]) == (one, None)
    assert oldest["promoted_at"] < rejected["promoted_at"] < rejected["rolled_back_at"]

    shown = run_command(offline_settings, "releases").stdout
    assert max(map(len, shown.splitlines())) <= 80
    joined = " ".join(shown.split())
    for text in (f"gate: {REASON}", "rejected: slow", "champion", "2026-05-08"):
        assert text in joined
