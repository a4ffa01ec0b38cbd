"""Exported models: the same answers in f32, others near them in less; candidates as any other."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from click.testing import CliRunner

from covla.cli.export import export as command
from covla.cli.export import posts_for
from covla.cli.posts_source import PostsSource
from covla.errors import CovlaError
from covla.evaluation.promotion import promote
from covla.inference.export import Export, Posts, export
from covla.inference.predictor import Predictor
from covla.model.head import HeadRunner
from covla.model.runtime.backend import Backend
from covla.model.runtime.openvino import has_bf16
from covla.posts.folder import FolderPost, write_folder
from covla.posts.preprocessing import PreparedPost
from covla.posts.synthetic import generate
from covla.posts.training_post import TrainingPost
from covla.registry import model_folder
from covla.registry.registry import Registry
from covla.settings import Settings

pytestmark = pytest.mark.slow

START, END = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC)
KINDS = [Backend("onnx"), Backend("openvino", "int8"), Backend("onnx", "int8")]
KINDS += [Backend("openvino", "bf16")] if has_bf16() else []


@pytest.fixture(scope="module")
def rows() -> list[TrainingPost]:
    return [TrainingPost(item.post, item.label) for item, _ in generate(64, 5, START, END)]


@pytest.fixture(scope="module")
def given(rows: list[TrainingPost]) -> Posts:
    return Posts(rows[:20], rows[20:], {"posts_folder": "made", "split": "val"})


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(state=tmp_path_factory.mktemp("export"), device="cpu")


@pytest.fixture(scope="module")
def exported(tiny_folder: Path, given: Posts, state: Settings) -> dict[Backend, Export]:
    return {kind: export(str(tiny_folder), kind, given, state) for kind in KINDS}


def _logits(model: Predictor, rows: list[TrainingPost]) -> np.ndarray[Any, Any]:
    ready = [item for row in rows if isinstance(item := model.prepare(row.post), PreparedPost)]
    outputs = model.head.run(model.encode(ready), model.contexts(ready, [{} for _ in ready]))
    return np.stack([output.logits for output in outputs])


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind.name}-{kind.precision}")
def test_an_exported_folder_answers_and_says_how_near(
    kind: Backend,
    exported: dict[Backend, Export],
    tiny_folder: Path,
    state: Settings,
    rows: list[TrainingPost],
) -> None:
    folder = Path(exported[kind].folder)
    model, original = Predictor.load(folder, state), Predictor.load(tiny_folder, state)
    assert model.version != original.version
    ours, theirs = _logits(model, rows), _logits(original, rows)
    if kind.precision == "f32":
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
        assert model.encoders.id == original.encoders.id or kind.name == "onnx"
    else:
        assert not np.allclose(ours, theirs, atol=1e-6)
        assert model.encoders.id != original.encoders.id
    report = json.loads((folder / "parity.json").read_text())
    apart = np.abs(_logits(model, rows[20:]) - _logits(original, rows[20:]))
    apart *= model.head.config.softmax_temperature
    assert report["logit_difference"]["max"] == pytest.approx(apart.max(), abs=1e-5)
    assert report["logit_difference"]["max"] < 1
    assert report["labelled"] == report["posts"] == 44
    assert sum(row["n"] for row in report["per_label"].values()) == 44
    assert "accuracy per label" in (folder / "parity.txt").read_text()
    told = json.loads((folder / "metrics.json").read_text())
    assert told["accuracy"] == report["exported"]["accuracy"]  # its own, not the original's 0.1


@pytest.mark.parametrize("part", ["text", "image"])
def test_int8_weights_leave_room_for_sums_in_16_bits(
    part: str, exported: dict[Backend, Export]
) -> None:
    """A CPU without VNNI has no more; full eight bits cost 2.3 points of accuracy there."""
    folder = Path(exported[Backend("openvino", "int8")].folder)
    network = ov.Core().read_model(folder / "networks" / f"{part}.xml")
    largest = [
        int(np.abs(node.data.astype(int)).max())
        for node in network.get_ordered_ops()
        if node.get_type_name() == "Constant" and node.get_element_type() == ov.Type.i8
        if _user(node) in {"MatMul", "Convolution"}  # what else there is adds few products
    ]
    assert largest
    assert max(largest) <= 64


def _user(constant: Any) -> str:
    """The operation that a stored weight ends in."""
    node = constant
    while node.get_type_name() in {"Constant", "Convert", "Subtract", "Multiply", "Reshape"}:
        node = next(iter(node.output(0).get_target_inputs())).get_node()
    return str(node.get_type_name())


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind.name}-{kind.precision}")
def test_an_answer_does_not_depend_on_its_neighbours(
    kind: Backend,
    exported: dict[Backend, Export],
    state: Settings,
    rows: list[TrainingPost],
) -> None:
    model = Predictor.load(exported[kind].folder, state)
    together = _logits(model, rows)
    model.clear_cache()
    np.testing.assert_array_equal(_logits(model, rows[::-1])[::-1], together)
    for i in (0, 7, 40):
        np.testing.assert_array_equal(_logits(model, rows[i : i + 1])[0], together[i])


def test_the_same_export_again_is_reused_and_another_is_not_overwritten(
    exported: dict[Backend, Export], tiny_folder: Path, given: Posts, state: Settings
) -> None:
    kind = Backend("onnx")
    again = export(str(tiny_folder), kind, given, state)
    assert again == replace(exported[kind], reused=True)
    other = Path(exported[Backend("onnx", "int8")].folder)
    with pytest.raises(CovlaError, match="another thing"):
        export(str(tiny_folder), kind, given, state, out=other)


def test_it_is_a_candidate_that_the_gate_judges(
    exported: dict[Backend, Export], tiny_folder: Path, state: Settings,
    rows: list[TrainingPost],
) -> None:  # fmt: skip
    first = promote(str(tiny_folder), None, state, force=True)
    folder = Path(exported[Backend("openvino", "int8")].folder)
    version = Registry(state).register(folder)
    assert version != first.version
    done = promote(version, rows, state)
    assert done.verdict is not None
    assert done.verdict.posts == len(rows)
    assert {check.name for check in done.verdict.checks} >= {"macro-F1", "accuracy", "ms per post"}
    serves = Registry(state).champion()
    assert serves == (version if done.promoted else first.version)
    row = next(row for row in Registry(state).releases() if row.version == version)
    assert row.gate in ("passed", "failed")
    assert Predictor.load(version, state).head.config.labels  # fetched, verified, loaded


def test_an_exported_folder_is_not_exported_again(
    exported: dict[Backend, Export], given: Posts, state: Settings
) -> None:
    folder = exported[Backend("onnx")].folder
    with pytest.raises(CovlaError, match="exported already"):
        export(folder, Backend("openvino", "int8"), given, state)


def _changed(folder: Path, tmp_path: Path, change: Callable[[Path], object]) -> Path:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    change(copy)
    model_folder.write_manifest(copy)
    return copy


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: (f / "networks" / "text.xml").unlink(), "text.xml is missing"),
        (lambda f: (f / "networks" / "text.xml").write_text("<no/>"), "no OpenVINO network"),
        (lambda f: (f / "engine.json").write_text("{}"), "does not say engine"),
        (
            lambda f: (f / "engine.json").write_text('{"engine":"onnx","precision":"bf16"}'),
            "onnx runs f32, int8",
        ),
    ],
)
def test_a_damaged_export_is_named(
    exported: dict[Backend, Export], state: Settings, tmp_path: Path,
    change: Callable[[Path], object], message: str,
) -> None:  # fmt: skip
    folder = Path(exported[Backend("openvino", "int8")].folder)
    with pytest.raises(CovlaError, match=message):
        Predictor.load(_changed(folder, tmp_path, change), state)


def test_weights_that_do_not_fit_are_named(tiny_folder: Path, tmp_path: Path) -> None:
    def wider(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {"width": 32}))

    with pytest.raises(CovlaError, match=r"does not fit .*: alignment|does not fit .*: context"):
        HeadRunner.load(_changed(tiny_folder, tmp_path, wider), cache=tmp_path, device="cpu")


def _folder(rows: list[TrainingPost], path: Path) -> Path:
    write_folder(
        path,
        [
            (FolderPost(row.post.model_copy(update={"image": None}), row.label, split, None), None)
            for row, split in zip(rows[:8], ["train", "val"] * 4, strict=True)
        ],
    )
    return path


def test_the_command_names_what_is_wrong(
    tiny_folder: Path, state: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    rows: list[TrainingPost],
) -> None:  # fmt: skip
    monkeypatch.setattr("covla.settings.get_settings", lambda: state)
    posts = str(_folder(rows, tmp_path / "posts"))

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(command, arguments)
        if isinstance(done.exception, CovlaError):
            return str(done.exception)
        assert done.exit_code == 2, done.output  # click's own line
        return done.output

    model = str(tiny_folder)
    assert "onnx runs f32, int8" in run(
        model, "--engine", "onnx", "--precision", "bf16", "--posts", posts
    )
    assert "engine: 'tflite'" in run(
        model, "--engine", "tflite", "--precision", "f32", "--posts", posts
    )
    assert "--posts and --window" in run(model, "--precision", "int8")
    assert "no complete model folder" in run(posts, "--precision", "int8", "--posts", posts)
    assert "no calibration post has a usable image" in run(
        model, "--precision", "int8", "--posts", posts, "--out", str(tmp_path / "new")
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["posts"]  # nothing half-made
    same = run(model, "--precision", "int8", "--posts", posts, "--split", "train")
    assert "both calibrate and judge" in same


def test_a_folder_gives_one_split_to_calibrate_and_one_to_judge(
    rows: list[TrainingPost], state: Settings, tmp_path: Path
) -> None:
    found = posts_for(PostsSource(_folder(rows, tmp_path / "posts"), None, "val"), "train", state)
    assert {row.post_id for row in found.calibration} == {row.post_id for row in rows[:8:2]}
    assert {row.post_id for row in found.judged} == {row.post_id for row in rows[1:8:2]}
