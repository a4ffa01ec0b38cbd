"""Which version's training posts others compare with, now and at an earlier time."""

from pathlib import Path

import pandas as pd
import pytest

from covla.errors import CovlaError, TooFew
from covla.registry.model_folder import write_manifest
from covla.registry.reference import champion_at, reference_rows
from covla.registry.registry import Registry
from covla.settings import Settings
from covla.times import now

pytestmark = pytest.mark.slow


def folder_of(path: Path, name: str, *, reference: bool = True) -> Path:
    """A complete model folder that differs from others by its name."""
    folder = path / name
    folder.mkdir()
    for part in ("metrics", "training", "config"):
        (folder / f"{part}.json").write_text("{}")
    (folder / "config.json").write_text(f'{{"name": "{name}"}}')
    if reference:
        pd.DataFrame({"post_id": [name]}).to_parquet(folder / "reference.parquet")
    write_manifest(folder)
    return folder


def test_the_champion_of_a_time_is_the_last_that_was_promoted_before_and_not_taken_back(
    offline_settings: Settings, tmp_path: Path
) -> None:
    registry, times = Registry(offline_settings), [now()]
    assert champion_at(now(), offline_settings) is None
    with pytest.raises(TooFew, match="no champion yet"):
        reference_rows("champion", offline_settings)
    first, second = (registry.register(folder_of(tmp_path, name)) for name in ("one", "two"))
    steps = [
        lambda: registry.promote(first, force=True),
        lambda: registry.promote(second, force=True),
        registry.rollback,
        lambda: registry.promote(second, force=True),
    ]
    found = []
    for step in steps:
        step()
        times.append(now())
        # As it is at once, and as it is after all.
        found.append(champion_at(times[-1], offline_settings))
        assert registry.champion() == found[-1]
    assert found == [first, second, first, second]
    after = [champion_at(time, offline_settings) for time in times]
    # The first promotion of the version that was promoted again is not remembered.
    assert after == [None, first, first, first, second]
    version, rows = reference_rows("champion", offline_settings)
    assert (version, rows["post_id"].tolist()) == (second, ["two"])


def test_a_folder_without_reference_says_what_to_do(
    offline_settings: Settings, tmp_path: Path
) -> None:
    folder = folder_of(tmp_path, "bare", reference=False)
    with pytest.raises(CovlaError, match=r"no reference\.parquet.*covla train"):
        reference_rows(str(folder), offline_settings)
    (folder / "reference.parquet").write_bytes(b"PAR1 and no more")
    write_manifest(folder)
    with pytest.raises(CovlaError, match=r"cannot read .*reference\.parquet"):
        reference_rows(str(folder), offline_settings)
