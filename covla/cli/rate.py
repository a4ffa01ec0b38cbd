"""`covla rate`: sheets for people out, agreement in."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from covla.cli.options import json_option
from covla.cli.output import log, print_result

if TYPE_CHECKING:
    from covla.evaluation.rating.score import RatingScore

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.group()
def rate() -> None:
    """Let people rate posts, and see how far they agree. No model ever fills a sheet."""


@rate.command()
@click.option(
    "--posts",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    required=True,
    help="A posts folder.",
)
@click.option("--split", default="val", show_default=True, help="The posts folder's split.")
@click.option("--n", type=click.IntRange(min=2), default=100, show_default=True, help="Posts.")
@click.option("--seed", type=int, default=0, show_default=True, help="Which posts, which order.")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="A new folder for all of it."
)
@json_option
def sheet(posts: Path, split: str, n: int, seed: int, out: Path, as_json: bool) -> None:
    """Write a blinded sheet: OUT/raters is for the raters, OUT/key.json is not.

    Each rater fills one sheet alone: sheet.html in a browser, which works offline and saves a CSV,
    or sheet.csv beside the images. Neither has a label, a model's answer or an author in it.
    """
    from covla.evaluation.rating.sheet import write_sheet
    from covla.posts.taxonomy import load_taxonomy
    from covla.settings import get_settings

    settings = get_settings()
    drawn = write_sheet(posts, split, n, seed, out, load_taxonomy(settings=settings), settings)
    log(f"give {drawn.raters} to at least two raters; keep {drawn.key} to yourself")
    print_result(asdict(drawn), as_json=as_json)


@rate.command()
@click.argument("sheets", metavar="SHEET...", nargs=-1, required=True, type=_FILE)
@click.option("--key", type=_FILE, required=True, help="key.json of `covla rate sheet`.")
@click.option(
    "--model-predictions",
    "predictions",
    type=_FILE,
    multiple=True,
    help="Output of `covla predict` on the same split; may be given for several models.",
)
@json_option
def score(
    sheets: tuple[Path, ...], key: Path, predictions: tuple[Path, ...], as_json: bool
) -> None:
    """Agreement of the raters of two or more filled sheets.

    Krippendorff's alpha (nominal) with its 95 % interval, agreement per label, the accuracy of the
    majority against the gold labels, and with --model-predictions how far a model agrees with
    people, beside how far people agree with each other.
    """
    from covla.evaluation.rating.score import score as score_sheets

    scored = score_sheets(sheets, key, predictions)
    if as_json:
        print_result(asdict(scored), as_json=True)
    else:
        _show(scored)


def _show(scored: "RatingScore") -> None:
    from rich.console import Console

    interval, majority = scored.alpha_interval, scored.majority
    spread = f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else ""
    print_result(
        {
            "posts": scored.posts,
            "alpha": _number(scored.alpha) + spread,
            "alpha with cannot tell": _number(scored.alpha_with_cannot_tell),
            "agreement between raters": _number(scored.agreement_between_raters),
            "majority": f"{majority.posts} posts, {majority.without} without",
            "majority against gold": _number(majority.accuracy),
        },
        as_json=False,
    )
    console = Console()
    for title, rows in (
        ("rater", scored.raters),
        ("label", scored.per_label),
        ("model", scored.models),
    ):
        if rows:
            console.print()
            console.print(_table(title, rows))


def _table(title: str, rows: Mapping[str, object]) -> Any:
    from rich.table import Table

    table = Table(box=None)
    table.add_column(title)
    for name in vars(next(iter(rows.values()))):
        table.add_column(name.replace("_", " "), justify="right")
    for name, row in rows.items():
        table.add_row(name, *map(_number, vars(row).values()))
    return table


def _number(value: float | None) -> str:
    if value is None:
        return "not defined"
    return str(value) if isinstance(value, int) else f"{value:.3f}"
