"""Each extra of pyproject.toml is enough for the commands that it is named for.

The commands run in processes that find only what the extra's distributions bring, by the metadata
of the installed ones.
"""

import json
import os
import subprocess
import sys
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from covla.settings import Settings

pytestmark = pytest.mark.slow

EARLIER = Path(__file__).parent / "fixtures" / "earlier"
MODEL, POSTS = str(EARLIER / "model"), str(EARLIER / "posts")
DAY = "2026-05-01T00:00:00Z/2026-05-02T00:00:00Z"
WITHOUT = """
import importlib.machinery, json, sys
absent, steps = json.loads(sys.argv[1])
find = importlib.machinery.PathFinder.find_spec
importlib.machinery.PathFinder.find_spec = classmethod(
    lambda cls, name, path=None, target=None:
    None if name.partition(".")[0] in absent else find(name, path, target)
)
for modules, command in steps:
    for module in modules:
        importlib.import_module(module)
    if command:
        from covla.cli.main import covla
        covla(command, standalone_mode=False)
"""
TINY = ["--preset", "tiny", "--epochs", "1", "--pretrain-epochs", "0", "--teacher", "none"]


def _brought_by(*extras: str) -> set[str]:
    """Canonical names of the distributions that `covla[extras]` installs here."""
    found: set[str] = set()
    todo = [(canonicalize_name("covla"), frozenset(extras))]
    seen = set()
    while todo:
        name, wanted = todo.pop()
        if (name, wanted) in seen:
            continue
        seen.add((name, wanted))
        found.add(name)
        for text in distribution(name).requires or ():
            needed = Requirement(text)
            marker = needed.marker
            if marker is None or any(marker.evaluate({"extra": e}) for e in ("", *wanted)):
                todo.append((canonicalize_name(needed.name), frozenset(needed.extras)))
    return found


def _absent(*extras: str) -> list[str]:
    here = _brought_by(*extras)
    return [
        module
        for module, owners in packages_distributions().items()
        if not here & {canonicalize_name(owner) for owner in owners}
    ]


@pytest.mark.parametrize(
    ("extras", "steps", "never"),
    [
        (
            ["serve"],
            [
                ([], ["predict", "--model", MODEL, "--posts", POSTS]),
                ([], ["explain", POSTS, "--id", "syn-3-000001", "--model", MODEL, "--out", "why"]),
                (["services.rest", "services.rest_app", "services.stream"], ["dlq", "--help"]),
            ],
            ["airflow", "evidently", "nncf", "great_expectations", "duckdb", "onnx"],
        ),
        (
            ["features"],
            [
                (["features.ingest", "features.online"], ["features", "apply"]),
                ([], ["features", "training-set", "--window", DAY, "--out", "set.parquet"]),
                ([], ["validate", "--window", DAY]),
            ],
            ["airflow", "evidently", "nncf", "bentoml"],
        ),
        (
            ["train"],
            [
                ([], ["train", "--posts", POSTS, *TINY, "--out", "model"]),
                ([], ["evaluate", "--posts", POSTS, "--model", MODEL]),
                (["covla.evaluation.promotion", "covla.evaluation.study.run"], ["rate", "--help"]),
                (["covla.inference.export", "covla.model.runtime.quantize"], ["releases"]),
            ],
            ["airflow", "evidently", "feast", "bentoml"],
        ),
        (
            ["monitor"],
            [(["monitoring.watch", "monitoring.report", "monitoring.alerts"], ["drift", "--help"])],
            ["airflow", "feast", "nncf", "bentoml"],
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, list) and isinstance(value[0], str) else "",
)
def test_an_extra_is_enough_for_its_commands(
    extras: list[str],
    steps: list[tuple[list[str], list[str]]],
    never: list[str],
    offline_settings: Settings,
    tmp_path: Path,
) -> None:
    import shutil

    shutil.copytree(EARLIER / "lake", offline_settings.lake)
    absent = _absent(*extras)
    assert set(never) <= set(absent)
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, json.dumps([absent, steps])],
        cwd=tmp_path,
        env=offline_settings.environment() | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
