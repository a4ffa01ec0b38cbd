"""`covla features backfill`, and the same before a promotion."""

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from covla.cli.options import as_of_option, json_option, window_option
from covla.cli.output import bars, log, print_result

if TYPE_CHECKING:
    from covla.settings import Settings

TITLE = "posts encoded anew"


@click.command("backfill")
@window_option()
@as_of_option
@click.option(
    "--model",
    "ref",
    default="champion",
    show_default=True,
    help="Whose towers: champion, challenger, previous, a version, or a model folder.",
)
@click.option("--max", "maximum", type=click.IntRange(min=1), help="Encode so many posts at most.")
@json_option
def backfill(window: Any, as_of: Any, ref: str, maximum: int | None, as_json: bool) -> None:
    """Encode a window's posts anew, where other towers than the model's have encoded them.

    `covla promote` does it for the last COVLA_BACKFILL_DAYS by itself. After a cut the same command
    goes on. Posts whose text or image is gone are skipped.
    """
    from covla.removal_lock import reading
    from covla.settings import get_settings
    from features.reencode import reencode

    settings = get_settings()
    with reading(settings), bars() as progress:
        done = reencode(
            window,
            ref,
            settings,
            as_of=as_of,
            maximum=maximum,
            progress=lambda n, total: progress(TITLE, n, total),
        )
    print_result(asdict(done), as_json=as_json)


def before_promotion(
    settings: "Settings", progress: Callable[[str, int, int | None], None]
) -> Callable[[str], None]:
    """What `covla.evaluation.promotion.promote` calls before a version serves."""

    def encode(version: str) -> None:
        from features.reencode import reencode_recent

        done = reencode_recent(
            version, settings, progress=lambda n, total: progress(TITLE, n, total)
        )
        if done.posts or done.skipped:
            log(
                f"promote: {done.posts} posts of {done.window} encoded anew by {done.encoder_id}, "
                f"the towers of version {version}; {done.skipped} skipped"
            )

    return encode
