"""`covla study`."""

from pathlib import Path

import click

from covla.cli.options import json_option, posts_option
from covla.cli.output import bars, log, print_result
from covla.cli.train import unlabelled_option


@click.group(invoke_without_command=True)
@posts_option
@click.option(
    "--split", default="val", show_default=True, help="The labelled posts to evaluate on."
)
@click.option("--seeds", type=click.IntRange(1), default=5, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="The result folder.")
@click.option(
    "--rows", "names", multiple=True, metavar="NAME",
    help="A row or a kind of rows (baseline, distilled, covla, ablation, teacher, tiny), several "
    "times for more. [default: all]",
)  # fmt: skip
@click.option(
    "--budgets/--no-budgets",
    default=None,
    help="CoVLA and baselines with 10, 25, 50 % of the labels too. [default: without --rows]",
)
@click.option(
    "--noise/--no-noise",
    default=None,
    help="Evaluate CoVLA and baselines on noisy posts too. [default: without --rows]",
)
@click.option("--jobs", type=click.IntRange(0), default=0, help="Processes. [default: the cores]")
@click.option("--preset", default="base", show_default=True, help="The frozen encoders.")
@click.option("--teacher", default="ensemble", show_default=True, help="As for covla train.")
@unlabelled_option
@click.option("--epochs", type=click.IntRange(1), help="Of stage 2, every row. [default: 10]")
@click.option("--pretrain-epochs", type=click.IntRange(0), help="Of stage 1. [default: 2]")
@json_option
@click.pass_context
def study(
    ctx: click.Context,
    posts: Path | None,
    split: str,
    seeds: int,
    out: Path | None,
    names: tuple[str, ...],
    budgets: bool | None,
    noise: bool | None,
    jobs: int,
    preset: str,
    teacher: str,
    unlabelled: int | None,
    epochs: int | None,
    pretrain_epochs: int | None,
    as_json: bool,
) -> None:
    """Compare CoVLA with baselines, with parts left out, with fewer labels and under noise.

    Trains on split train of a posts folder and evaluates on --split. What is done is kept in
    OUT.work, and the same command goes on there; OUT is there when it is complete, and is not
    changed again.
    """
    if ctx.invoked_subcommand is not None:
        return
    if posts is None or out is None:
        raise click.UsageError("give --posts and --out")
    from dataclasses import replace

    from covla.evaluation.study.run import StudyConfig
    from covla.evaluation.study.run import study as run
    from covla.evaluation.study.variants import SharedConfig
    from covla.settings import get_settings
    from covla.training.recipe import Recipe
    from covla.training.teachers.resolve import resolve

    changes = {"epochs": epochs, "pretrain_epochs": pretrain_epochs}
    recipe = replace(Recipe(), **{k: v for k, v in changes.items() if v is not None})
    all_of_it = not names
    ask = StudyConfig(
        split, seeds, names,
        all_of_it if budgets is None else budgets, all_of_it if noise is None else noise,
        unlabelled,
    )  # fmt: skip
    settings = get_settings()
    common = SharedConfig(preset, resolve(teacher, settings), recipe)
    with bars() as progress:
        done = run(posts, out, ask, common, settings, jobs=jobs, progress=progress)
    log(f"{done.folder} {'was there' if done.there else 'is done'}: {done.rows} rows")
    result = {name: value for name, value in vars(done).items() if value is not None}
    print_result(result, as_json=as_json)


@study.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="[default: stdout]")
@json_option
def card(folder: Path, out: Path | None, as_json: bool) -> None:
    """Write the model card from the result folder of a study."""
    from covla.evaluation.study.card import model_card
    from covla.files import write_bytes_aside

    if out is None:
        click.echo(model_card(folder, Path.cwd()), nl=False)
        return
    write_bytes_aside(out, model_card(folder, out.parent).encode())
    print_result({"card": str(out.absolute()), "folder": str(folder.absolute())}, as_json=as_json)
