"""The data set that MLflow shows, and the file of a model folder."""

import json
from pathlib import Path

from covla.registry.lineage import LakeFile, Lineage, data_set, read_lineage, write_lineage

DAY = "2026-05-01T00:00:00.000000Z/2026-05-02T00:00:00.000000Z"


def made_of(files: int) -> Lineage:
    return Lineage(
        source="lake", name=DAY, digest="0" * 16, posts=3, labelled=2, holdout=1, teacher="none",
        code_version="1", intervals=[DAY], left_out={"blocked": 4},
        files=[LakeFile(f"posts/hour=20260501T00/{n}.parquet", f"{n:064x}") for n in range(files)],
    )  # fmt: skip


def test_what_is_written_is_read(tmp_path: Path) -> None:
    assert read_lineage(tmp_path) is None
    write_lineage(tmp_path, made_of(2))
    assert read_lineage(tmp_path) == made_of(2)


def test_a_month_of_files_fits_into_mlflow_by_the_hash_of_their_list() -> None:
    few, many = (data_set(made_of(n)).dataset for n in (2, 2200))
    assert [file["sha256"] for file in json.loads(few.source)["files"]] == [
        f"{n:064x}" for n in range(2)
    ]
    source = json.loads(many.source)
    assert (source["files"], source["listed_in"]) == (2200, "lineage.json")
    assert len(source["files_sha256"]) == 64
    assert len(many.source) < 65_535
    changed = made_of(2199)
    assert source["files_sha256"] != json.loads(data_set(changed).dataset.source)["files_sha256"]
