"""One training run: posts in, a sealed model folder out. Cut off, it goes on with `resume`."""

import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from covla.errors import CovlaError
from covla.files import folder_aside, read_dataclass, read_object
from covla.metrics import scores
from covla.model.encoders import Encoders
from covla.model.folder_weights import write_networks
from covla.model.hf import CovlaModel
from covla.model.networks import F32
from covla.model.processing import CovlaProcessor
from covla.model.towers import Towers, load_towers, weights_id
from covla.posts.dataset import check_labels
from covla.posts.seen import write_contents
from covla.posts.splits import grouped, repeats
from covla.posts.taxonomy import Taxonomy
from covla.posts.training_post import TrainingPost
from covla.registry import model_folder
from covla.registry.lineage import Lineage, write_lineage
from covla.settings import Settings
from covla.training.augmentation import with_copies
from covla.training.config import Plan
from covla.training.dataset import PreparedDataset, Progress, encode, prepare_posts
from covla.training.drift_reference import write_reference
from covla.training.fit import Fitted, TowerShape, fit
from covla.training.image_tower.targets import targets
from covla.training.image_tower.train import train_image_tower
from covla.training.progress import quiet
from covla.training.teachers.vectors import check_teacher, ensemble_preset, teacher_vectors


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """A trained folder and how good it is; counts of lines and of what was left out
    only where there are such."""

    folder: str
    digest: str
    accuracy: float | None
    macro_f1: float | None
    preset: str
    arch: str
    teacher: str
    seed: int
    posts: int
    labelled: int
    holdout: int
    skipped: int
    groups: int
    repeats: int
    left_out: int | None = None
    quarantined: int | None = None  # of a time range, as `blocked`: left out by validation
    blocked: int | None = None
    expired: int | None = None  # of a time range: its text is kept no longer
    unusable_lines: int | None = None
    repeated_lines: int | None = None
    seconds: float
    reused: bool

    def as_dict(self) -> dict[str, Any]:
        """Plain data, as `covla train` prints it."""
        scores = ("accuracy", "macro_f1")  # null without a holdout
        return {k: v for k, v in asdict(self).items() if v is not None or k in scores}


def train(
    posts: list[TrainingPost],
    plan: Plan,
    out: Path,
    taxonomy: Taxonomy,
    settings: Settings,
    *,
    about: Mapping[str, str | int] | None = None,
    lineage: Lineage | None = None,
    resume: bool = False,
    progress: Progress = lambda name, done, total: None,
    callbacks: list[Any] | None = None,
) -> TrainingResult:
    """Train a model folder at `out`, its manifest last; returns what it is and how good.

    While it runs, all is kept in `out`.work. With `resume`, a run that was cut off goes on there
    and ends with the same weights. A folder that the same plan made of the same posts is there to
    stay: it is verified and returned.

    Args:
        about: where the posts come from; kept in training.json.
        lineage: the same to the file and its hash; kept in lineage.json.
        callbacks: transformers.TrainerCallback objects, for a tracker.

    Raises:
        CovlaError: bad labels or plan, or `out` holds something else.
    """
    started = time.monotonic()
    quiet()
    plan.check()
    check_labels(posts, taxonomy)
    check_teacher(plan.teacher, posts)
    digest = plan.digest(posts, taxonomy)
    if out.exists():
        return _existing(out, digest)
    work = out.with_name(f"{out.name}.work")
    _open_work(work, digest, resume=resume)
    data = prepare_posts(grouped(posts, settings), taxonomy, settings, progress)
    check_labels(data.posts, taxonomy)
    data = with_copies(data, plan.recipe.noisy_copies, held_out=True)
    towers, tokenizer = _towers(plan, data)
    features = vectors = None
    frozen = plan.preset != "tiny"
    if frozen or plan.teacher.kind != "none":
        pair = (towers, tokenizer) if frozen else load_towers(ensemble_preset(plan.preset))
        encoders = Encoders(*pair, cache=settings.cache, device=settings.device)
        vectors = teacher_vectors(
            plan.teacher, data, encoders, taxonomy, settings, plan.recipe.seed, progress
        )
        if plan.towers is not None:
            soft = targets(data, vectors, len(taxonomy.names), plan.recipe.seed, plan.towers.label)
            towers = train_image_tower(
                towers, data, encode(data.without_copies(), encoders, settings, progress), soft,
                plan.towers, seed=plan.recipe.seed, device=settings.device, work=work,
                progress=progress, callbacks=callbacks,
            )  # fmt: skip
            encoders = Encoders(towers, tokenizer, cache=settings.cache, device=settings.device)
        features = encode(data, encoders, settings, progress) if frozen else None
    fitted = fit(
        data, plan, taxonomy, TowerShape.of(towers), features=features, vectors=vectors,
        towers=towers, tokenizer=tokenizer, device=settings.device, work=work,
        progress=progress, callbacks=callbacks,
    )  # fmt: skip
    model = fitted.model
    metrics = _measure(fitted, data, taxonomy)
    learns = data.trains
    about_run: dict[str, Any] = {
        **(about or {}),
        "preset": plan.preset,
        "arch": plan.arch,
        "teacher": plan.teacher.name,
        "seed": plan.recipe.seed,
        "recipe": asdict(plan.recipe),
        "overrides": plan.overrides,
        "towers": "frozen" if plan.towers is None else asdict(plan.towers),
        "plan": digest,
        "posts": len(learns),
        "labelled": int((data.teacher_labels >= 0).sum()),
        "holdout": len(fitted.holdout),
        "skipped": data.skipped,
        **repeats(data.posts),
    }
    with folder_aside(out, work / "model") as draft:
        _write(model, towers, tokenizer, draft)
        write_networks(draft, draft / F32)
        for name, value in (("metrics.json", metrics), ("training.json", about_run)):
            (draft / name).write_bytes(orjson.dumps(value, option=orjson.OPT_INDENT_2))
        write_reference(draft / "reference.parquet", data, features, learns)
        write_contents(draft, [data.posts[i] for i in learns])
        if lineage is not None:
            write_lineage(draft, lineage)
        sealed = model_folder.write_manifest(draft)
    shutil.rmtree(work)
    return _result(out, sealed, seconds=time.monotonic() - started)


def _existing(out: Path, digest: str) -> TrainingResult:
    sealed = model_folder.verify(out)
    about_run = read_object(out / "training.json")
    if about_run.get("plan") != digest:
        raise CovlaError(
            f"{out} holds a model of other posts or another plan",
            hint="Give another --out, or delete the folder",
        )
    return _result(out, sealed, reused=True)


def _result(
    out: Path, sealed: str, *, seconds: float = 0.0, reused: bool = False
) -> TrainingResult:
    metrics = read_object(out / "metrics.json")
    return read_dataclass(
        TrainingResult, out / "training.json", folder=str(out.absolute()), digest=sealed,
        accuracy=metrics.get("accuracy"), macro_f1=metrics.get("macro_f1"),
        seconds=round(seconds, 1), reused=reused,
    )  # fmt: skip


def _open_work(work: Path, digest: str, *, resume: bool) -> None:
    note = work / "plan.txt"
    if resume and note.exists() and note.read_text() == digest:
        return
    if resume and work.exists():
        raise CovlaError(
            f"{work} was begun with other posts or another plan",
            hint="Train without --resume to start over",
        )
    if work.exists():
        shutil.rmtree(work)
    work.mkdir(parents=True)
    note.write_text(digest)


def _towers(plan: Plan, data: PreparedDataset) -> tuple[Towers, Any]:
    if plan.preset == "tiny":
        from covla.training.tiny import tiny_towers

        return tiny_towers([data.prepared[i].text for i in data.trains], plan.recipe.seed)
    return load_towers(plan.preset)


def _measure(fitted: Fitted, data: PreparedDataset, taxonomy: Taxonomy) -> dict[str, Any]:
    """Scores on the holdout, at the temperature that was fitted there; {} without a holdout."""
    if fitted.holdout_logits is None:
        return {}
    labels = data.labels[fitted.holdout].numpy().astype(np.int64)
    kinds = [data.posts[i].pair_type for i in fitted.holdout]
    probabilities = fitted.model.probabilities(fitted.holdout_logits).numpy()
    measured = asdict(scores(probabilities, labels, taxonomy.names, kinds))
    return measured | ({} if fitted.sharpness is None else {"sharpness": fitted.sharpness})


def _write(model: CovlaModel, towers: Towers, tokenizer: Any, folder: Path) -> None:
    """Weights with the towers, so that the folder needs nothing beside it."""
    model.cpu().eval()
    if model.towers is None:
        model.config.with_towers = True
        model.towers = towers.cpu().eval()
    model.config.encoder_id = weights_id(model.towers)
    model.save_pretrained(folder)
    CovlaProcessor(
        tokenizer,
        image_size=towers.image.spec["size"],
        max_tokens=towers.spec["text"]["max_tokens"],
    ).save_pretrained(folder)
