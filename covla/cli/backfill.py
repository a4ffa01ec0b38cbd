"""`covla backfill`."""

from dataclasses import asdict
from typing import Any

import click

from covla.cli.options import as_of_option, json_option, window_option
from covla.cli.output import bars, print_result


@click.command()
@window_option()
@as_of_option
@click.option(
    "--model",
    "ref",
    default="champion",
    show_default=True,
    help="champion, challenger, previous, a version, or a model folder.",
)
@json_option
def backfill(window: Any, as_of: Any, ref: str, as_json: bool) -> None:
    """Predict the posts of a window with one version, into the feature store.

    For a version that did not serve then, or posts that the stream missed. The same command
    overwrites its own rows; `covla performance` leaves them out.
    """
    from covla.settings import get_settings
    from features.backfill import backfill as run

    with bars() as progress:
        done = run(
            window,
            ref,
            get_settings(),
            as_of=as_of,
            progress=lambda n, total: progress("predict", n, total),
        )
    print_result(asdict(done), as_json=as_json)
