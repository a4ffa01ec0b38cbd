"""The result folder: written aside, sealed, never written to again."""

import platform
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
from covla.evaluation.study.run_result import RunResult
from covla.evaluation.study.summary import Summary
from covla.evaluation.study.tables import tables
from covla.evaluation.study.variants import SharedConfig, Variant
from covla.files import read_json, read_object
from covla.model.encoders import Encoders
from covla.registry import model_folder

ALLOWED = frozenset({".json", ".md", ".svg"})
PACKAGES = ("covla", "torch", "transformers", "openvino", "timm", "numpy")


def about_machine() -> dict[str, Any]:
    """Versions, processor and memory: what figures of speed depend on."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = names[0].partition(":")[2].strip() if names else cpu
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
        "cpu": cpu,
        "cores": len(psutil.Process().cpu_affinity() or []) or psutil.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
    }


def existing(out: Path, asked: dict[str, Any]) -> dict[str, Any]:
    """What a finished folder says, if it is of the same study.

    Raises:
        CovlaError: it holds another study, is incomplete or was changed.
    """
    model_folder.verify(out)
    about = read_object(out / "about.json")
    if about.get("asked") != orjson.loads(orjson.dumps(asked)):
        raise CovlaError(
            f"{out} holds a study of other posts, rows or recipe",
            hint="Give another --out; a finished study is never written over",
        )
    return _found(out, about) | {"folder": str(out.absolute()), "there": True}


def _found(out: Path, about: dict[str, Any]) -> dict[str, Any]:
    rows = read_results(out)
    best = {row["name"]: row["accuracy"]["mean"] for row in rows if row["kind"] != "noise"}
    return {"rows": len(rows), "seconds": about["seconds"], "accuracy": best, "there": False}


def read_results(folder: Path) -> list[dict[str, Any]]:
    """The rows of a result folder.

    Raises:
        CovlaError: there are none.
    """
    try:
        rows = read_json(folder / "results.json")
    except CovlaError as error:
        raise CovlaError(
            f"{folder} is no result folder of a study: {error}", hint="Make one: covla study"
        ) from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise CovlaError(f"{folder / 'results.json'} is no list of rows")
    return rows


def write_result(
    folder: Path,
    rows: list[Variant],
    outcomes: dict[str, list[RunResult]],
    inputs: Inputs,
    encoders: Encoders,
    common: SharedConfig,
    about: dict[str, Any],
) -> dict[str, Any]:
    """results.json, about.json, details.json, cost.json, tables.md and plots/, then the manifest.

    No text and no image of a post is in it.
    """
    folder.mkdir(parents=True)
    summary = Summary(
        rows,
        outcomes,
        inputs.judged.labels.numpy().astype(np.int64),
        [row.pair_type for row in inputs.judged.posts],
        inputs.taxonomy.names,
    )
    found = rounded(summary.records())
    details = rounded(summary.details())
    cost = costs(rows, common, inputs, encoders)
    # A line per row: what changed between two studies can be read off a diff.
    lines = ",\n".join(orjson.dumps(row).decode() for row in found)
    (folder / "results.json").write_text(f"[\n{lines}\n]\n")
    for name, value in (("about", about), ("details", details), ("cost", cost)):
        path = folder / f"{name}.json"
        path.write_bytes(orjson.dumps(value, option=orjson.OPT_INDENT_2) + b"\n")
    parts = tables(found, about, cost)
    text = "\n\n".join(f"## {title}\n\n{body}" for title, body in parts.items())
    (folder / "tables.md").write_text(f"# Study of {about['date']}\n\n{text}\n")
    draw(folder / "plots", found, details, cost)
    model_folder.write_manifest(folder, allowed=ALLOWED)
    return _found(folder, about)


def rounded(value: Any) -> Any:
    """Floats to five digits: no figure here is more certain."""
    if isinstance(value, float):
        return round(value, 5)
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list) else value
