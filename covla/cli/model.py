"""Commands that run a model version: promote, predict."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from covla.cli.options import json_option, posts_option, source_options
from covla.cli.output import bars, log, print_result, progress_bar

if TYPE_CHECKING:
    from covla.cli.posts_source import PostsSource


@click.command()
@click.argument("candidate")
@source_options("test", "The posts folder's split.", required=False)
@click.option("--force", is_flag=True, help="Promote whatever the gate says; it is recorded.")
@click.option(
    "--canary", metavar="WEIGHT", type=float, help="Of this share of the posts alone, 0 to 1."
)
@json_option
def promote(
    source: "PostsSource | None",
    candidate: str,
    force: bool,
    canary: float | None,
    as_json: bool,
) -> None:
    """Let CANDIDATE, a version or a model folder, serve when it passes the gate.

    The gate holds it against the champion on labelled posts that neither was trained on: clean
    and noisy accuracy, every label, calibration, speed, size. Ends with 4 when it says no, when
    the version was rejected, and when another one became the champion meanwhile. Where other towers
    encoded the posts of the last COVLA_BACKFILL_DAYS, they are encoded anew before it serves.
    With --canary it answers a share of the posts beside the champion (`covla canary --help`).
    """
    from covla.cli.reencode import before_promotion
    from covla.errors import Refused
    from covla.evaluation import promotion
    from covla.settings import get_settings

    settings = get_settings()
    posts = None
    if source is not None:
        posts = [row for row in source.posts(settings) if row.split == "holdout" and row.label]
    with bars() as bar:
        through = 0

        def counted(count: int) -> None:
            nonlocal through
            through += count
            bar("posts through the gate", through, None)

        outcome = promotion.promote(
            candidate,
            posts,
            settings,
            force=force,
            canary=canary,
            progress=counted,
            prepare=before_promotion(settings, bar),
        )
    shown = outcome.as_dict()
    if source is not None:
        shown |= {"posts_folder": str(source.folder)} if source.folder else source.about
    if not as_json:
        shown = {k: v for k, v in shown.items() if k not in {"checks", "rules"}}
    print_result(shown, as_json=as_json)
    if outcome.refused is not None:
        raise outcome.refused
    if outcome.verdict is not None and not (outcome.promoted or outcome.canary is not None):
        raise Refused(
            f"version {outcome.version} did not pass the gate: "
            f"{'; '.join(outcome.verdict.reasons)}",
            hint=f"See {outcome.verdict.report}",
        )


@click.command()
@click.option(
    "--model", "ref", default="champion", show_default=True, help="Alias, version, folder."
)
@posts_option
@click.option("--split", default="test", show_default=True, help="The posts folder's split.")
@click.option("--json", "as_json", is_flag=True, help="Add a last line that counts the answers.")
def predict(ref: str, posts: Path | None, split: str, as_json: bool) -> None:
    """Predict posts, one JSON object a line from stdin or a posts folder; one line out for each.

    Lines are messages, or lines of a posts folder whose images lie in the working folder:

    \b
    covla predict --model model < posts.jsonl

    A post that cannot be used becomes {"error", "field", "code", "line"} in its place. Ends with 2
    when no post could be used, and when more than half of them could not.
    """
    import orjson

    from covla.errors import CovlaError
    from covla.inference.backfill import predict_lines, read_folder_lines, read_lines
    from covla.inference.predictor import Predictor
    from covla.settings import get_settings

    settings = get_settings()
    predictor = Predictor.load(ref, settings)
    if posts is not None:
        lines = read_folder_lines(posts, split, settings)
    else:
        lines = read_lines(sys.stdin.buffer, Path.cwd(), settings)
    counts = {True: 0, False: 0}
    first: dict[str, Any] = {}
    with progress_bar("posts") as progress:
        for line, good in predict_lines(predictor, lines):
            sys.stdout.buffer.write(line)
            counts[good] += 1
            if not good and not first:
                first = orjson.loads(line)
            progress(1)
    sys.stdout.flush()
    log(f"{counts[True]} predicted, {counts[False]} refused, by version {predictor.version}")
    if as_json:
        done = {"predicted": counts[True], "refused": counts[False], "version": predictor.version}
        print_result(done, as_json=True)
    if not sum(counts.values()):
        raise CovlaError("no post could be predicted: there is no line", hint="Give posts on stdin")
    if counts[False] > counts[True]:
        what = (
            "no post could be predicted"
            if not counts[True]
            else (f"{counts[False]} of {sum(counts.values())} posts could not be predicted")
        )
        raise CovlaError(f"{what}; the first is line {first['line']}: {first['error']}")
