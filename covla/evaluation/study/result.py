"""The result folder: written aside, sealed, never written to again."""

import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import psutil

from covla.errors import CovlaError
from covla.evaluation.study.cost import costs
from covla.evaluation.study.inputs import Inputs
from covla.evaluation.study.plots import draw
from covla.evaluation.study.records import Details, Results, read_results, rounded
from covla.evaluation.study.run_result import RunResult
from covla.evaluation.study.summary import Summary
from covla.evaluation.study.tables import tables
from covla.evaluation.study.variants import SharedConfig, Variant
from covla.files import folder_aside, read_dataclass
from covla.model.encoders import Encoders
from covla.registry import model_folder

ALLOWED = frozenset({".json", ".md", ".svg"})
PACKAGES = ("covla", "torch", "transformers", "openvino", "timm", "numpy")


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Versions, processor and memory: what figures of speed depend on."""

    date: str
    python: str
    versions: dict[str, str]
    cpu: str
    cores: int | None
    memory_gib: float

    @property
    def processor(self) -> str:
        """As a table names it."""
        return f"{self.cpu}, {self.cores} cores"


@dataclass(frozen=True, kw_only=True)
class About(Machine):
    """about.json: the study that was asked for, its posts, and what it took.

    Counts that are None were not kept by earlier versions.
    """

    posts_folder: str
    asked: dict[str, Any]
    n: int
    train: int
    calibration: int
    unlabelled: int
    unlabelled_in_all: int | None = None
    skipped: int
    groups: int | None = None
    repeats: int | None = None
    unusable_lines: int | None = None
    repeated_lines: int | None = None
    left_out: int | None = None
    encoder_id: str
    cpu_seconds: int
    seconds: float
    reused: int


@dataclass(frozen=True)
class Finished:
    """A result folder: rows, seconds, the accuracy of each row, and whether it was there before;
    if not, how many runs were taken up."""

    folder: str
    rows: int
    seconds: float
    accuracy: dict[str, float]
    there: bool
    reused: int | None = None


def this_machine() -> Machine:
    """The one that this runs on."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = names[0].partition(":")[2].strip() if names else cpu
    return Machine(
        date=datetime.now(UTC).date().isoformat(),
        python=platform.python_version(),
        versions={name: version(name) for name in PACKAGES},
        cpu=cpu,
        cores=len(psutil.Process().cpu_affinity() or []) or psutil.cpu_count(),
        memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
    )


def existing(out: Path, asked: dict[str, Any]) -> Finished:
    """What a finished folder holds, if it is of the same study.

    Raises:
        CovlaError: it holds another study, is incomplete or was changed.
    """
    model_folder.verify(out)
    about = read_dataclass(About, out / "about.json")
    if about.asked != orjson.loads(orjson.dumps(asked)):
        raise CovlaError(
            f"{out} holds a study of other posts, rows or recipe",
            hint="Give another --out; a finished study is never written over",
        )
    return _finished(out, read_results(out), about, there=True)


def _finished(out: Path, results: Results, about: About, *, there: bool) -> Finished:
    return Finished(
        str(out.absolute()), len(results.rows) + len(results.noisy), about.seconds,
        {row.name: row.accuracy.mean for row in results.rows},
        there, None if there else about.reused,
    )  # fmt: skip


def write_result(
    out: Path,
    work: Path,
    rows: list[Variant],
    outcomes: dict[str, list[RunResult]],
    inputs: Inputs,
    encoders: Encoders,
    common: SharedConfig,
    about: About,
) -> Finished:
    """results.json, about.json, details.json, cost.json, tables.md and plots/, then the manifest.

    No text and no image of a post is in it. It is written in `work`, then renamed to `out`.
    """
    summary = Summary(
        rows,
        outcomes,
        inputs.judged.labels.numpy().astype(np.int64),
        [row.pair_type for row in inputs.judged.posts],
        inputs.taxonomy.names,
    )
    results: Results = rounded(summary.results())
    details: Details = rounded(summary.details())
    cost = costs(rows, common, inputs, encoders)
    with folder_aside(out, work / "result") as folder:
        folder.mkdir(parents=True)
        (folder / "results.json").write_text(results.as_json())
        for name, value in (("about", about), ("details", details), ("cost", cost)):
            path = folder / f"{name}.json"
            path.write_bytes(orjson.dumps(value, option=orjson.OPT_INDENT_2) + b"\n")
        parts = tables(results, about.processor, cost)
        text = "\n\n".join(f"## {title}\n\n{body}" for title, body in parts.items())
        (folder / "tables.md").write_text(f"# Study of {about.date}\n\n{text}\n")
        draw(folder / "plots", results, details, cost)
        model_folder.write_manifest(folder, allowed=ALLOWED)
    return _finished(out, results, about, there=False)
