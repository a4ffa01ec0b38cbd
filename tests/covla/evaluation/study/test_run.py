"""Whole studies on a small synthetic folder: resumed, in parallel, and never written over."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from covla.errors import CovlaError
from covla.evaluation.study import inputs, variants
from covla.evaluation.study.card import model_card
from covla.evaluation.study.result import Finished
from covla.evaluation.study.run import StudyConfig, study
from covla.evaluation.study.variants import SharedConfig
from covla.registry.model_folder import verify
from covla.settings import Settings
from covla.training.recipe import Recipe

SHORT = SharedConfig(recipe=Recipe(epochs=2, pretrain_epochs=1, batch=16))
ROWS = StudyConfig(seeds=2, names=("zero-shot", "concat", "covla", "covla-cmf", "teacher"))
ALL = StudyConfig(seeds=2, names=ROWS.names, budgets=True, noise=True)


@pytest.fixture(scope="module", autouse=True)
def few_levels() -> Iterator[None]:
    """One label budget and two noise levels are enough to see that they work."""
    conditions = tuple(c for c in inputs.CONDITIONS if c[2] in {0.3, 0.5})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(variants, "BUDGETS", (0.25,))
        patch.setattr(inputs, "CONDITIONS", conditions)
        yield


@pytest.fixture(scope="module")
def done(
    few_levels: None,
    posts_folder: Path,
    study_settings: Settings,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, Finished]:
    """A finished study, cut off once on the way."""
    out = tmp_path_factory.mktemp("done") / "study"

    def cut(name: str, count: int, total: int) -> None:
        if name == "rows" and count == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study(posts_folder, out, ALL, SHORT, study_settings, jobs=1, progress=cut)
    assert not out.exists()  # nothing half-written is visible
    return out, study(posts_folder, out, ALL, SHORT, study_settings, jobs=1)


def rows_of(folder: Path) -> dict[str, dict[str, Any]]:
    records = orjson.loads((folder / "results.json").read_bytes())
    assert len({row["name"] for row in records}) == len(records)
    return {row["name"]: row for row in records}


@pytest.mark.slow
def test_a_study_that_was_cut_off_goes_on_and_ends_in_a_sealed_folder(
    done: tuple[Path, Finished],
) -> None:
    out, found = done
    assert (found.reused or 0) >= 4
    verify(out)
    found_rows = rows_of(out)
    assert {row["kind"] for row in found_rows.values()} == {
        "baseline", "covla", "ablation", "teacher", "budget", "noise"
    }  # fmt: skip
    for row in found_rows.values():
        assert row["seeds"] == (1 if row["name"].startswith(("zero-shot", "teacher")) else 2)
        for metric in ("accuracy", "macro_f1"):
            assert 0 <= row[metric]["mean"] <= 1
            assert row[metric]["std"] >= 0
    covla, plain = found_rows["covla"], [found_rows[name] for name in ("zero-shot", "concat")]
    best = max(plain, key=lambda row: row["accuracy"]["mean"])
    assert best["against_strongest"] is None
    against = covla["against_strongest"]
    assert against["row"] == best["name"]
    for metric in ("accuracy", "macro_f1"):
        gap = against[metric]
        means = covla[metric]["mean"] - best[metric]["mean"]
        assert gap["difference"] == pytest.approx(means, abs=1e-4)
        assert gap["interval"][0] <= gap["difference"] <= gap["interval"][1]
    assert found_rows["covla-cmf"]["against_covla"]["row"] == "covla"
    few = found_rows["covla@25%"]
    assert (few["labels"], few["against_strongest"]["row"] in {"zero-shot", "concat@25%"}) == (
        0.25, True,
    )  # fmt: skip
    # 11 kinds at 2 levels for covla, two baselines and the ablation.
    noisy = [row for row in found_rows.values() if row["kind"] == "noise"]
    assert len(noisy) == 4 * 11 * 2
    at_30 = [
        row["accuracy"]["mean"] for row in noisy if (row["of"], row["level"]) == ("covla", 0.3)
    ]
    assert covla["under_noise"]["accuracy"]["mean"] == pytest.approx(np.mean(at_30), abs=1e-4)
    cmf = found_rows["covla-cmf"]["under_noise"]
    assert cmf["against_covla"]["difference"] == pytest.approx(
        cmf["accuracy"]["mean"] - covla["under_noise"]["accuracy"]["mean"], abs=1e-4
    )
    gone = found_rows["covla image:missing 50%"]
    assert gone["gate"]["mean"] > covla["gate"]["mean"]
    assert gone["drop"]["accuracy"] == pytest.approx(
        covla["accuracy"]["mean"] - gone["accuracy"]["mean"], abs=1e-4
    )


@pytest.mark.slow
def test_the_folder_holds_tables_and_pictures_and_no_post(
    done: tuple[Path, Finished], posts_folder: Path
) -> None:
    out, _ = done
    plots = {path.stem for path in (out / "plots").glob("*.svg")}
    assert plots == {"noise", "gate", "labels", "reliability", "confusion", "cost"}
    about = orjson.loads((out / "about.json").read_bytes())
    assert (about["n"], about["skipped"]) == (24, 0)
    assert about["train"] + about["calibration"] == 48
    everything = b"".join(path.read_bytes() for path in out.rglob("*.*"))
    for line in (posts_folder / "posts.jsonl").read_bytes().splitlines():
        post = orjson.loads(line)
        assert post["post_id"].encode() not in everything
        assert not post.get("text") or post["text"].encode() not in everything
    card = model_card(out, out.parent)
    assert "| **covla** | covla | 2 |" in card
    assert f"]({out.name}/plots/noise.svg)" in card
    assert "$" not in card.replace("$folder", "")


@pytest.mark.slow
def test_a_finished_study_is_there_to_stay(
    done: tuple[Path, Finished], posts_folder: Path, study_settings: Settings
) -> None:
    out, found = done
    before = (out / "manifest.json").read_bytes()
    again = study(posts_folder, out, ALL, SHORT, study_settings, jobs=1)
    assert again.there
    assert again.accuracy == found.accuracy
    with pytest.raises(CovlaError, match="never written over"):
        study(posts_folder, out, ROWS, SHORT, study_settings, jobs=1)
    assert (out / "manifest.json").read_bytes() == before


@pytest.mark.slow
def test_two_processes_find_what_one_found(
    done: tuple[Path, Finished], posts_folder: Path, study_settings: Settings, tmp_path: Path
) -> None:
    out, _ = done
    few = StudyConfig(seeds=2, names=("concat", "covla"))
    study(posts_folder, tmp_path / "two", few, SHORT, study_settings, jobs=2)
    one = rows_of(out)
    for name, row in rows_of(tmp_path / "two").items():
        same = ("accuracy", "macro_f1", "ece", "gate")
        assert {key: row[key] for key in same} == {key: one[name][key] for key in same}


def test_what_cannot_be_studied_is_refused_before_any_work(
    posts_folder: Path, study_settings: Settings, tmp_path: Path
) -> None:
    for ask, common, message in (
        (StudyConfig(names=("gait",)), SHORT, "rows: 'gait'"),
        (StudyConfig(split="dev"), SHORT, "no labelled post of split 'dev'"),
    ):
        with pytest.raises(CovlaError, match=message):
            study(posts_folder, tmp_path / "out", ask, common, study_settings, jobs=1)
    assert not list(tmp_path.iterdir())
