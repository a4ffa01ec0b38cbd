"""Commands of training: train, teach, evaluate."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from covla.cli.options import json_option, source_options
from covla.cli.output import bars, log, print_result

if TYPE_CHECKING:
    from covla.cli.posts_source import PostsSource
    from covla.training.image_tower.recipe import TowerRecipe

# Enough to gain what distillation gives, and `base` stays under five minutes on two cores.
DEFAULT_UNLABELLED = 1000


def _count(_: click.Context, option: click.Parameter, value: str) -> int | None:
    if value == "all":
        return None
    if not value.isdigit():
        raise click.BadParameter("a number, or all", param=option)
    return int(value)


teacher_option = click.option(
    "--teacher",
    metavar="ID|FOLDER|ensemble|self|none",
    help="[default: COVLA_TEACHER, ensemble] ensemble: kernel machines made of these posts, left "
    "one out. A hub id (ID@REVISION) or a folder of an image-text-to-text model (Qwen3-VL, "
    "SmolVLM2, InternVL3, Gemma 3 ...) or of "
    "CLIP, SigLIP, SigLIP 2. self, or the folder of a CoVLA model: the model so far teaches the "
    "next one, about posts without a label.",
)
unlabelled_option = click.option(
    "--unlabelled",
    default=str(DEFAULT_UNLABELLED),
    show_default=True,
    callback=_count,
    help="How many posts without a label to learn from: a number, or all.",
)


@click.command()
@source_options("train")
@click.option(
    "--preset",
    help="base, tiny, a hub id or folder, or TEXT+IMAGE. [default: COVLA_PRESET, base]",
)
@click.option(
    "--arch",
    default="covla",
    show_default=True,
    help="covla, or a baseline: text, image, late, concat, gate, xattn, sgmft.",
)
@teacher_option
@unlabelled_option
@click.option("--seed", default=0, show_default=True)
@click.option(
    "--epochs", type=click.IntRange(1), help="Of stage 2. [default: 10; tiny: more of few posts]"
)
@click.option("--pretrain-epochs", type=click.IntRange(0), help="Of stage 1. [default: 2]")
@click.option(
    "--noisy-copies",
    type=click.IntRange(0, 10),
    help="Of every post, to learn which side to doubt; an epoch stays as long. "
    "[default: 2; tiny: none]",
)
@click.option(
    "--towers",
    type=click.Choice(["frozen", "trained"]),
    default="frozen",
    show_default=True,
    help="trained: the image tower learns first, from all pictures, on noisy crops, towards the "
    "teacher's soft labels.",
)
@click.option(
    "--unfreeze",
    type=click.IntRange(1),
    metavar="N",
    help="With --towers trained: only its last N blocks learn.",
)
@click.option(
    "--tower-epochs", type=click.IntRange(1), help="Passes over the pictures. [default: 3]"
)
@click.option("--tower-batch", type=click.IntRange(1), help="Pictures a step. [default: 32]")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="FIELD=JSON",
    help="A configuration field, such as graph=false.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Model folder. [default: in STATE/models]"
)
@click.option("--resume", is_flag=True, help="Go on with a run that was cut off.")
@json_option
def train(
    source: "PostsSource",
    preset: str | None,
    arch: str,
    teacher: str | None,
    unlabelled: int | None,
    seed: int,
    epochs: int | None,
    pretrain_epochs: int | None,
    noisy_copies: int | None,
    towers: str,
    unfreeze: int | None,
    tower_epochs: int | None,
    tower_batch: int | None,
    overrides: tuple[str, ...],
    out: Path | None,
    resume: bool,
    as_json: bool,
) -> None:
    """Train a model on a posts folder or on a data window.

    Stage 1 aligns text and image without labels, stage 2 learns the labels and what the teacher
    says. The folder is there only when it is complete.
    """
    from dataclasses import replace

    from covla.posts.taxonomy import load_taxonomy
    from covla.settings import get_settings
    from covla.training.config import Plan, usual_recipe
    from covla.training.mlflow_callback import tracker
    from covla.training.run import train as run
    from covla.training.teachers.resolve import resolve

    settings = get_settings()
    preset, teacher = preset or settings.preset, teacher or settings.teacher
    asked = {
        "seed": seed, "epochs": epochs, "pretrain_epochs": pretrain_epochs,
        "noisy_copies": noisy_copies,
    }  # fmt: skip
    changes: dict[str, Any] = {k: v for k, v in asked.items() if v is not None}
    learnt = _towers(towers, unfreeze=unfreeze, epochs=tower_epochs, batch=tower_batch)
    plan = Plan(
        preset, arch, resolve(teacher, settings), overrides=_overrides(overrides), towers=learnt
    )
    plan.check()
    rows, about = source.training(settings, unlabelled=unlabelled)
    plan = replace(plan, recipe=replace(usual_recipe(preset, len(rows)), **changes))
    taxonomy = load_taxonomy(settings=settings)
    folder = out or settings.models / f"{arch}-{plan.digest(rows, taxonomy)}"
    lineage = source.lineage(rows, about, plan.teacher.id, settings)
    with bars() as progress:
        trained = run(
            rows, plan, folder, taxonomy, settings, about=about, lineage=lineage, resume=resume,
            progress=progress, callbacks=tracker(settings, lineage),
        )  # fmt: skip
    log(
        f"{trained.folder}: {trained.posts} posts and {trained.holdout} held out, in "
        f"{trained.groups} groups by content, {trained.repeats} repeats; {trained.seconds} s"
    )
    print_result(trained.as_dict(), as_json=as_json)


def _towers(towers: str, **options: int | None) -> "TowerRecipe | None":
    from covla.training.image_tower.recipe import TowerRecipe

    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    if towers == "trained":
        return TowerRecipe(**given)
    if given:
        raise click.UsageError("--unfreeze, --tower-epochs and --tower-batch need --towers trained")
    return None


def _overrides(pairs: tuple[str, ...]) -> dict[str, Any]:
    import orjson

    values = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        try:
            values[name] = orjson.loads(value)
        except orjson.JSONDecodeError:
            raise click.UsageError(f"--set {pair}: expected FIELD=JSON") from None
    return values


@click.command()
@source_options("train")
@teacher_option
@click.option("--preset", help="Encoders of an ensemble. [default: COVLA_PRESET, base]")
@unlabelled_option
@click.option("--seed", default=0, show_default=True, help="Of an ensemble.")
@click.option(
    "--batch",
    type=click.IntRange(1),
    help="Posts at a time, for a teacher that is a network. [default: 4 on a CPU, 16 on a GPU]",
)
@json_option
def teach(
    source: "PostsSource",
    teacher: str | None,
    preset: str | None,
    unlabelled: int | None,
    seed: int,
    batch: int | None,
    as_json: bool,
) -> None:
    """Ask the teacher about every post, once. A network is never shown a label.

    Its vectors are cached by teacher, revision, prompt and content, and with --window they also go
    to the feature store. What was asked before is not asked again, and a run that was cut off goes
    on where it was: give the same command.
    """
    import time

    from covla.posts.taxonomy import load_taxonomy
    from covla.settings import get_settings
    from covla.training.teachers.distil import teach as run
    from covla.training.teachers.resolve import resolve

    settings = get_settings()
    started = time.monotonic()
    preset = preset or settings.preset
    resolved = resolve(teacher or settings.teacher, settings)
    rows, about = source.training(settings, unlabelled=unlabelled)
    taxonomy = load_taxonomy(settings=settings)
    with bars() as progress:
        vectors, name = run(
            rows, resolved, preset, taxonomy, settings, seed=seed, batch=batch, progress=progress
        )
    if source.window is not None:
        from features.source import write_teacher

        write_teacher(source.window, vectors, name, settings, source.as_of)
    seconds = round(time.monotonic() - started, 1)
    width = len(next(iter(vectors.values()), ()))
    counts = {"vectors": len(vectors), "silent": len(rows) - len(vectors), "width": width}
    print_result(counts | {"teacher_id": name, **about, "seconds": seconds}, as_json=as_json)


@click.command()
@source_options("val")
@click.option(
    "--model", "ref", required=True, help="champion, challenger, a version, or a model folder."
)
@click.option(
    "--modality", type=click.Choice(["both", "text", "image"]), default="both", show_default=True
)
@click.option("--noise", "kind", help="text:KIND or image:KIND of covla.posts.corruptions.")
@click.option("--level", type=click.FloatRange(0, 1), default=0.0, show_default=True)
@click.option("--seed", default=0, show_default=True, help="Of the noise.")
@json_option
def evaluate(
    source: "PostsSource",
    ref: str,
    modality: str,
    kind: str | None,
    level: float,
    seed: int,
    as_json: bool,
) -> None:
    """Score a model on labelled posts, by the same Predictor that serves."""
    from covla.errors import TooFew
    from covla.evaluation.evaluate import judge
    from covla.posts.folder import Reading
    from covla.settings import get_settings

    settings = get_settings()
    reading = Reading()
    rows = [row for row in source.posts(settings, reading=reading) if row.label is not None]
    if str(reading):
        log(f"{source.folder}: {reading}")
    if not rows:
        raise TooFew("no labelled post to score on", hint="Give another --split or --window")
    evaluation = judge(rows, ref, settings, modality=modality, noise=kind, level=level, seed=seed)
    if repeats := evaluation.repeats_of_training:
        log(f"{repeats} of the posts share their content with what the model trained on")
    shown = evaluation.as_dict()
    if source.folder is not None:
        counts = reading.as_dict()
        shown |= {name: counts[name] for name in ("unusable_lines", "repeated_lines")}
    print_result(shown, as_json=as_json)
