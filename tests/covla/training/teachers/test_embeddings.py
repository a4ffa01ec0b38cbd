"""Asking once, in batches, going on after a cut, and finding damage in what was kept."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from covla.errors import CovlaError
from covla.posts.preprocessing import PreparedPost
from covla.posts.taxonomy import load_taxonomy
from covla.posts.training_post import TrainingPost
from covla.settings import Settings
from covla.training.config import Plan
from covla.training.teachers import embeddings as asking
from covla.training.teachers.embeddings import ask, load
from covla.training.teachers.resolve import Teacher, resolve

Rows = list[TrainingPost]


class Counting:
    """A real teacher that counts what it reads, and is cut off after some batches."""

    def __init__(self, teacher: Teacher, settings: Settings, cut: int | None = None) -> None:
        self.reader = load(teacher, settings)
        self.batches: list[list[str]] = []
        self.cut = cut

    def read(self, items: list[PreparedPost]) -> Any:
        if self.cut is not None and len(self.batches) == self.cut:
            raise KeyboardInterrupt
        self.batches.append([item.post.post_id for item in items])
        return self.reader.read(items)


@pytest.fixture
def teacher(checkpoint: Callable[[str], Path]) -> Teacher:
    return resolve(str(checkpoint("gemma3")))


@pytest.fixture
def counting(
    teacher: Teacher, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Counting]:
    def loaded_as(cut: int | None = None) -> Counting:
        reader = Counting(teacher, settings, cut)
        monkeypatch.setattr(asking, "load", lambda *_: reader)
        return reader

    return loaded_as


def test_equal_posts_are_read_once_and_batches_have_one_set_of_modalities(
    teacher: Teacher, rows: Rows, prepared: list[PreparedPost], settings: Settings, counting: Any
) -> None:
    reader = counting()
    steps: list[int] = []
    vectors = ask(teacher, rows, prepared, settings, batch=2, progress=steps.append)
    assert sorted(map(sorted, reader.batches)) == [
        ["both", "tall"], ["image"], ["square"], ["text", "words"],
    ]  # fmt: skip
    assert vectors.shape == (len(rows), teacher.width)
    np.testing.assert_array_equal(vectors[1], vectors[6])
    assert sum(steps) == len(rows)


def test_what_was_asked_before_does_not_load_the_model(
    teacher: Teacher,
    rows: Rows,
    prepared: list[PreparedPost],
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = ask(teacher, rows, prepared, settings)
    monkeypatch.setattr(asking, "load", lambda *_: pytest.fail("the model was loaded"))
    again = ask(teacher, rows[::-1], prepared[::-1], settings, batch=3)
    np.testing.assert_array_equal(again, first[::-1])
    # A label changes nothing: the teacher does not see it.
    labelled = [replace(row, label="home") for row in rows]
    np.testing.assert_array_equal(ask(teacher, labelled, prepared, settings), first)


def test_a_run_that_is_cut_off_goes_on_where_it_was(
    teacher: Teacher, rows: Rows, prepared: list[PreparedPost], settings: Settings, counting: Any
) -> None:
    whole = ask(
        teacher, rows, prepared, settings.model_copy(update={"state": settings.state / "x"})
    )
    cut = counting(cut=2)
    with pytest.raises(KeyboardInterrupt):
        ask(teacher, rows, prepared, settings, batch=1)
    rest = counting()
    vectors = ask(teacher, rows, prepared, settings, batch=1)
    assert len(cut.batches) == 2
    assert not {b[0] for b in cut.batches} & {b[0] for b in rest.batches}
    np.testing.assert_allclose(vectors, whole, atol=1e-3)


def test_a_killed_run_keeps_all_but_its_last_seconds(
    teacher: Teacher,
    rows: Rows,
    prepared: list[PreparedPost],
    settings: Settings,
    counting: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(asking, "KEEP_SECONDS", 0)
    counting()
    shards: list[int] = []
    folder = settings.cache / "teacher" / teacher.id
    ask(
        teacher, rows, prepared, settings, batch=2,
        progress=lambda _: shards.append(len(list(folder.glob("*.safetensors")))),
    )  # fmt: skip
    assert shards == [0, 1, 2, 3, 4]  # each batch is on disk before it counts as done


@pytest.mark.parametrize("damage", ["truncated", "one bit", "no checksum", "other width", "empty"])
def test_a_damaged_shard_is_found_and_computed_again(
    damage: str,
    teacher: Teacher,
    rows: Rows,
    prepared: list[PreparedPost],
    settings: Settings,
    counting: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    first = ask(teacher, rows, prepared, settings)
    (path,) = (settings.cache / "teacher" / teacher.id).glob("*.safetensors")
    content = bytearray(path.read_bytes())
    if damage == "one bit":
        content[-1] ^= 1
    elif damage in {"no checksum", "other width"}:
        from safetensors.torch import load_file, save_file

        cut = 5 if damage == "other width" else None
        save_file({key: row[:cut].clone() for key, row in load_file(path).items()}, path)
        content = bytearray(path.read_bytes())
    else:
        del content[0 if damage == "empty" else -100 :]
    path.write_bytes(content)
    reader = counting()
    np.testing.assert_array_equal(ask(teacher, rows, prepared, settings), first)
    assert sum(map(len, reader.batches)) == len(rows) - 1
    assert "damaged" in caplog.text


def test_another_question_or_teacher_is_not_answered_from_the_cache(
    teacher: Teacher, checkpoint: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = {teacher.id, resolve(str(checkpoint("qwen3_vl"))).id}
    monkeypatch.setattr("covla.training.teachers.prompt.PROMPT", "What is it?")
    ids.add(teacher.id)
    assert len(ids) == 3


def test_a_teacher_in_another_place_is_the_same_and_with_other_weights_another(
    checkpoints: ModuleType, tmp_path: Path
) -> None:
    one, two = (resolve(str(checkpoints.clip(tmp_path / n / "clip"))) for n in ("a", "b"))
    assert one.id == two.id
    taxonomy = load_taxonomy()
    plans = [Plan(preset="tiny", teacher=resolve(teacher.name)) for teacher in (one, two)]
    before = [plan.digest([], taxonomy) for plan in plans]
    assert before[0] == before[1]
    from safetensors.torch import load_file, save_file

    path = tmp_path / "b" / "clip" / "model.safetensors"
    weights = load_file(path)
    weights["logit_scale"] += 1
    save_file(weights, path, {"format": "pt"})
    assert resolve(two.name).id != one.id
    plans = [Plan(preset="tiny", teacher=resolve(teacher.name)) for teacher in (one, two)]
    after = [plan.digest([], taxonomy) for plan in plans]
    assert after[0] == before[0]
    assert after[1] != before[1]  # it is another plan: its folder is not taken for this one's


class _Wrong:
    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def read(self, items: list[PreparedPost]) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return np.full((len(items), *np.shape(self.answer)), self.answer, np.float32)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (torch.OutOfMemoryError("CUDA"), "does not fit in memory. Give a smaller --batch"),
        (np.zeros(7), "answers 7 numbers a post; its configuration says 32"),
        (np.full(32, np.nan), "does not answer with numbers"),
        (np.full(32, 1e6), "does not answer with numbers"),
    ],
)
def test_a_teacher_that_cannot_answer_is_an_error_and_nothing_is_kept(
    answer: Any,
    message: str,
    teacher: Teacher,
    rows: Rows,
    prepared: list[PreparedPost],
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(asking, "load", lambda *_: _Wrong(answer))
    with pytest.raises(CovlaError, match=message):
        ask(teacher, rows, prepared, settings)
    assert not list((settings.cache / "teacher").rglob("*.safetensors"))
    with pytest.raises(CovlaError, match="batch: 0 is less than 1"):
        ask(teacher, rows, prepared, settings, batch=0)
