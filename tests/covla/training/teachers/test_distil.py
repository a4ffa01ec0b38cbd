"""`covla teach` with networks, in child processes, and a run that is killed the hard way."""

import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from covla.errors import CovlaError
from covla.posts.dataset import from_folder
from covla.posts.folder import write_folder
from covla.posts.synthetic.generate import generate, with_splits
from covla.posts.taxonomy import load_taxonomy
from covla.settings import Settings
from covla.training.teachers.distil import teach
from covla.training.teachers.resolve import resolve

Checkpoint = Callable[[str], Path]

KILLED = """
import os, signal, sys
from pathlib import Path
from covla.posts.taxonomy import load_taxonomy
from covla.settings import Settings
from covla.posts.dataset import from_folder
from covla.training.teachers import embeddings as ask
from covla.training.teachers.distil import teach
from covla.training.teachers.resolve import resolve

posts, checkpoint, state = sys.argv[1:]
ask.KEEP_SECONDS = 0
read, count = ask._read, []

def dies(*args):
    count.append(1)
    if len(count) == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return read(*args)

ask._read = dies
settings = Settings(state=state, device="cpu")
rows = from_folder(Path(posts), "train", settings, unlabelled=None)
teach(rows, resolve(checkpoint), "base", load_taxonomy(), settings, batch=2)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("posts")
    week = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 8, tzinfo=UTC)
    write_folder(path, with_splits(generate(24, 1, *week), 0.1))
    return path


def test_the_vectors_of_a_network_need_no_encoders_and_no_second_label(
    folder: Path, checkpoint: Checkpoint, settings: Settings
) -> None:
    rows = from_folder(folder, "train", settings, unlabelled=None)
    for row in rows:
        row.label = None
    done: list[tuple[str, int, int]] = []
    vectors, name = teach(
        rows, resolve(str(checkpoint("siglip2"))), "tiny", load_taxonomy(), settings,
        progress=lambda *step: done.append(step),
    )  # fmt: skip
    assert set(vectors) == {row.post_id for row in rows}
    assert {len(vector) for vector in vectors.values()} == {64}
    assert name.startswith("siglip2-")
    assert done[-1] == ("teacher", len(rows), len(rows))


@pytest.mark.parametrize(
    ("kind", "preset", "batch", "message"),
    [
        ("none", "base", None, "there is nothing to teach with 'none'"),
        ("ensemble", "base", 0, "batch: 0 is less than 1"),
        ("oracle", "base", None, "teacher: 'oracle' is not one"),
        ("self", "base", None, "there is no champion yet"),
    ],
)
def test_what_cannot_be_taught_is_refused(
    kind: str, preset: str, batch: int | None, message: str, folder: Path, settings: Settings
) -> None:
    rows = from_folder(folder, "train", settings)
    with pytest.raises(CovlaError, match=message):
        teach(rows, resolve(kind, settings), preset, load_taxonomy(), settings, batch=batch)


@pytest.mark.slow
def test_a_student_without_frozen_towers_is_taught_by_those_of_base(
    folder: Path, settings: Settings
) -> None:
    rows = from_folder(folder, "train", settings)
    (tiny, of_tiny), (base, of_base) = (
        teach(rows, resolve("ensemble"), preset, load_taxonomy(), settings)
        for preset in ("tiny", "base")
    )
    assert of_tiny == of_base
    assert tiny.keys() == base.keys() != set()


@pytest.mark.slow
def test_a_killed_run_goes_on_by_the_same_command(
    folder: Path, checkpoint: Checkpoint, tmp_path: Path, run_command: Any
) -> None:
    settings = Settings(state=tmp_path / "state", device="cpu")
    teacher = str(checkpoint("qwen3_vl"))
    command = [sys.executable, "-c", KILLED, str(folder), teacher, str(settings.state)]
    killed = subprocess.run(command, capture_output=True, timeout=120, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    shards = sorted((settings.cache / "teacher").rglob("*.safetensors"))
    assert len(shards) == 3
    before = [path.stat().st_mtime_ns for path in shards]
    again = run_command(
        settings, "teach", "--posts", folder, "--unlabelled", "all", "--teacher", teacher, "--json"
    )
    assert again.returncode == 0, again.stderr
    assert again.json["vectors"] == len(from_folder(folder, "train", settings, unlabelled=None))
    assert (again.json["width"], again.json["silent"]) == (32, 0)
    assert [path.stat().st_mtime_ns for path in shards] == before
    assert "Loading weights" not in again.stderr  # its own bars, and nobody else's
    wrong = run_command(settings, "teach", "--posts", folder, "--teacher", folder, "--json")
    assert wrong.returncode == 2
    assert "has no config.json" in wrong.stderr
    assert len(wrong.stderr.strip().splitlines()) == 1
