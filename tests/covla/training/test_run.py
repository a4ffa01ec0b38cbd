"""Whole runs on synthetic posts, most of them of preset `tiny`."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from transformers import AutoModel, AutoProcessor, TrainerCallback

from covla.errors import CovlaError
from covla.inference.predictor import Predictor
from covla.model.encoders import load_encoders
from covla.model.head import HeadRunner, folder_encoders
from covla.model.runtime.backend import Backend
from covla.posts.dataset import from_folder, split_of
from covla.posts.folder import write_folder
from covla.posts.image_store import BlobStore
from covla.posts.preprocessing import prepare
from covla.posts.synthetic.generate import generate, with_splits
from covla.posts.taxonomy import load_taxonomy
from covla.posts.training_post import TrainingPost
from covla.registry.encoder_id import encoder_id, same_encoder
from covla.registry.model_folder import verify
from covla.schemas.prediction import Prediction
from covla.settings import Settings
from covla.training.config import Plan
from covla.training.image_tower.recipe import TowerRecipe
from covla.training.recipe import Recipe
from covla.training.run import train
from covla.training.teachers.resolve import NO_TEACHER
from tests.covla.posts.test_corrupted_post import prepared_posts

SHORT = Plan(
    preset="tiny", teacher=NO_TEACHER, recipe=Recipe(pretrain_epochs=1, epochs=2, batch=32)
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("posts")
    week = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 8, tzinfo=UTC)
    write_folder(path, with_splits(generate(120, 1, *week), 0.1))
    return path


@pytest.fixture
def settings(state: Path) -> Settings:
    return Settings(state=state, device="cpu")


@pytest.fixture
def posts(folder: Path, settings: Settings) -> list[TrainingPost]:
    return from_folder(folder, "train", settings, unlabelled=None)


class _Cut(TrainerCallback):  # type: ignore[misc]
    """Ends a run the hard way in the middle of an epoch of stage 2."""

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if "finetune" in args.output_dir and 2 * state.global_step > state.max_steps:
            raise KeyboardInterrupt


@pytest.mark.slow
def test_the_same_posts_and_seed_give_the_same_bytes_also_after_a_cut(
    posts: list[TrainingPost], settings: Settings, tmp_path: Path
) -> None:
    taxonomy = load_taxonomy()
    whole = train(posts, SHORT, tmp_path / "whole", taxonomy, settings)
    assert verify(tmp_path / "whole") == whole.digest
    with pytest.raises(KeyboardInterrupt):
        train(posts, SHORT, tmp_path / "cut", taxonomy, settings, callbacks=[_Cut()])
    assert not (tmp_path / "cut").exists()  # nothing half-written is visible
    train(posts, SHORT, tmp_path / "cut", taxonomy, settings, resume=True)
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "cut")]
    assert weights[0] == weights[1]
    other = replace(SHORT, recipe=replace(SHORT.recipe, seed=1))
    train(posts, other, tmp_path / "other", taxonomy, settings)
    assert (tmp_path / "other" / "model.safetensors").read_bytes() != weights[0]

    # What a folder holds, and that it needs nothing beside it.
    model = AutoModel.from_pretrained(tmp_path / "whole")
    assert model.towers is not None
    processor = AutoProcessor.from_pretrained(tmp_path / "whole")
    inputs = processor(["a cup of coffee", ""], [None, None])
    logits = model.eval()(**inputs).logits
    assert logits.shape == (2, len(taxonomy.names))
    assert torch.isfinite(logits).all()
    rows = pq.read_table(tmp_path / "whole" / "reference.parquet")
    assert rows.num_rows == whole.posts
    assert {"text_words", "image_blur", "has_image", "label"} <= set(rows.column_names)

    # The same plan again costs nothing; another one is refused.
    assert train(posts, SHORT, tmp_path / "whole", taxonomy, settings).reused
    with pytest.raises(CovlaError, match="holds a model of other posts or another plan"):
        train(posts, other, tmp_path / "whole", taxonomy, settings)


@pytest.mark.slow
def test_the_commands_train_and_evaluate(folder: Path, tmp_path: Path, run_command: Any) -> None:
    settings = Settings(state=tmp_path / "state")
    out = tmp_path / "model"
    # As a newcomer types it: `base`, the ensemble, noisy copies, and nothing cached.
    trained = run_command(settings, "train", "--posts", folder, "--out", out, "--json")
    assert trained.returncode == 0, trained.stderr
    assert {"folder", "digest", "accuracy", "seconds"} <= set(trained.json)
    assert (trained.json["preset"], trained.json["teacher"]) == ("base", "ensemble")
    assert trained.json["accuracy"] >= 0.6
    scored = run_command(
        settings, "evaluate", "--posts", folder, "--split", "val", "--model", out, "--json"
    )
    assert scored.returncode == 0, scored.stderr
    assert scored.json["accuracy"] == pytest.approx(trained.json["accuracy"])
    assert scored.json["n"] == trained.json["holdout"]
    text = run_command(
        settings, "evaluate", "--posts", folder, "--split", "val", "--model", out,
        "--modality", "text", "--json",
    )  # fmt: skip
    assert text.json["mean_gate"] == 1.0


@pytest.mark.slow
def test_a_teacher_speaks_of_every_post_and_is_asked_once(
    folder: Path, state: Path, run_command: Any
) -> None:
    settings = Settings(state=state)
    first = run_command(settings, "teach", "--posts", folder, "--unlabelled", "all", "--json")
    assert first.returncode == 0, first.stderr
    rows = from_folder(folder, "train", settings, unlabelled=None)
    assert first.json["vectors"] == len(rows)
    again = run_command(settings, "teach", "--posts", folder, "--unlabelled", "all", "--json")
    assert again.json["teacher_id"] == first.json["teacher_id"]
    assert len(list((settings.cache / "teacher").iterdir())) == 1
    posts_and_window = run_command(settings, "teach", "--json")
    assert posts_and_window.returncode == 2
    assert "give one of --posts and --window" in posts_and_window.stderr


@pytest.mark.slow
def test_a_model_keeps_the_towers_that_its_features_are_from(
    posts: list[TrainingPost], settings: Settings, tmp_path: Path
) -> None:
    """The second model too, whose features come from networks in the cache."""
    plan = Plan(teacher=NO_TEACHER, recipe=Recipe(pretrain_epochs=0, epochs=1, noisy_copies=0))
    for name in ("first", "second"):
        train(posts, plan, tmp_path / name, load_taxonomy(), settings)
        config = json.loads((tmp_path / name / "config.json").read_bytes())
        assert config["encoder_id"] == load_encoders("base", settings).id


def test_a_label_outside_the_taxonomy_is_named_before_any_work(
    posts: list[TrainingPost], settings: Settings, tmp_path: Path
) -> None:
    posts[3].label = "spaceship"
    with pytest.raises(CovlaError, match=rf"post {posts[3].post_id}: label: 'spaceship' is not"):
        train(posts, SHORT, tmp_path / "out", load_taxonomy(), settings)
    assert not list(tmp_path.glob("out*"))


def test_one_class_or_none_is_refused(
    posts: list[TrainingPost], settings: Settings, tmp_path: Path
) -> None:
    for label, message in (("home", "are home"), (None, "no labelled post")):
        for row in posts:
            row.label = label
        with pytest.raises(CovlaError, match=message):
            train(posts, SHORT, tmp_path / "out", load_taxonomy(), settings)


def test_an_empty_split_is_refused(folder: Path, settings: Settings) -> None:
    with pytest.raises(CovlaError, match="no labelled post of split 'dev'"):
        from_folder(folder, "dev", settings)


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (replace(SHORT, arch="vit"), "arch: 'vit'"),
        (replace(SHORT, overrides={"image_width": 64}), "image_width: follows from the posts"),
        (replace(SHORT, overrides={"grpah": False}), "grpah: no such field"),
        (replace(SHORT, towers=TowerRecipe()), "those of `tiny` train with the model"),
    ],
)
def test_a_bad_plan_is_refused_before_any_work(
    plan: Plan, message: str, posts: list[TrainingPost], settings: Settings, tmp_path: Path
) -> None:
    with pytest.raises(CovlaError, match=message):
        train(posts, plan, tmp_path / "out", load_taxonomy(), settings)


@pytest.mark.slow
def test_an_image_tower_that_learnt_is_part_of_the_version(
    posts: list[TrainingPost], settings: Settings, tmp_path: Path
) -> None:
    recipe = Recipe(pretrain_epochs=0, epochs=1, noisy_copies=0)
    plan = Plan(teacher=NO_TEACHER, recipe=recipe, towers=TowerRecipe(epochs=1, batch=4))
    train(posts[:40], plan, tmp_path / "out", load_taxonomy(), settings)
    frozen = load_encoders("base", settings)
    predictor = Predictor.load(str(tmp_path / "out"), settings)
    assert predictor.encoders.id != frozen.id
    (item,) = [p for p in prepared_posts(12, settings) if p.text and p.image is not None][:1]
    (before,), (after,) = frozen.encode([item]), predictor.encoders.encode([item])
    np.testing.assert_allclose(before.tokens, after.tokens, atol=1e-6)
    assert np.abs(before.regions - after.regions).max() > 0.01
    # What live posts are compared with is by the same towers as theirs.
    assert same_encoder(predictor.encoders.id, str(encoder_id(tmp_path / "out")))
    rows = pq.read_table(tmp_path / "out" / "reference.parquet").to_pylist()
    row = next(row for row in rows if row["image_embedding"] is not None)
    post = next(each.post for each in posts if each.post.post_id == row["post_id"])
    (learnt,) = predictor.encoders.encode([prepare(post, settings, BlobStore(settings))])
    np.testing.assert_allclose(row["image_embedding"], learnt.image_embedding, rtol=0.02, atol=0.02)
    assert isinstance(predictor.predict([item.post])[0], Prediction)


def test_a_folders_val_split_is_the_holdout_and_unlabelled_posts_are_capped(
    folder: Path, settings: Settings
) -> None:
    some = from_folder(folder, "train", settings, unlabelled=3)
    assert {row.split for row in some if row.label is None} == {"train"}
    assert sum(row.label is None for row in some) == 3
    assert any(row.split == "holdout" for row in some)
    assert from_folder(folder, "train", settings, unlabelled=3) == some


def test_the_hash_split_is_about_its_share_and_never_changes() -> None:
    sides = [split_of(f"post-{i}") for i in range(2000)]
    assert 340 < sides.count("holdout") < 460
    assert sides == [split_of(f"post-{i}") for i in range(2000)]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU")
@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_a_model_is_trained_where_the_settings_say_and_answers_alike_everywhere(
    posts: list[TrainingPost], tmp_path: Path, device: Literal["cuda", "cpu"]
) -> None:
    settings = {name: Settings(state=tmp_path, device=name) for name in ("cuda", "cpu")}
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.max_memory_allocated()
    train(posts, SHORT, tmp_path / "model", load_taxonomy(), settings[device])
    assert (torch.cuda.max_memory_allocated() > before) == (device == "cuda")
    backend = Backend("torch")
    on_gpu, on_cpu = (
        Predictor(
            name,
            HeadRunner.load(tmp_path / "model", cache=tmp_path, device=name, backend=backend),
            folder_encoders(tmp_path / "model", settings[name], backend),
            settings[name],
        ).predict([row.post for row in posts])
        for name in ("cuda", "cpu")
    )
    for a, b in zip(on_gpu, on_cpu, strict=True):
        assert isinstance(a, Prediction)
        assert isinstance(b, Prediction)
        assert a.probabilities == pytest.approx(b.probabilities, abs=1e-3)
        assert a.gate == pytest.approx(b.gate, abs=1e-3)
