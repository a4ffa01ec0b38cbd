"""`covla demo`."""

import signal
from dataclasses import asdict
from pathlib import Path

import click

from covla.cli.options import json_option
from covla.cli.output import log, print_result


@click.command()
@click.option(
    "--posts",
    type=click.Path(path_type=Path, file_okay=False),
    help="A posts folder in place of synthetic posts: split train is the labelled history, "
    "split val the stream, a third of it before the drift.",
)
@click.option("--preset", default="base", show_default=True, help="base, tiny, or a hub id.")
@click.option(
    "--scale",
    type=click.FloatRange(0.05, 10),
    default=1.0,
    show_default=True,
    help="Of the number of synthetic posts: 1 is 1,060.",
)
@click.option("--exit", "leave", is_flag=True, help="End instead of staying up.")
@json_option
def demo(posts: Path | None, preset: str, scale: float, leave: bool, as_json: bool) -> None:
    """Show the whole loop on real parts, from posts on Kafka to a retrained champion.

    Posts are published, ingested into the feature store, validated and taught; a model is trained,
    promoted and served over REST and Kafka; then every image changes, the drift is found and
    named, and Airflow retrains. Takes some minutes; stays up until Ctrl-C, which stops it all.
    """
    from covla.settings import get_settings
    from services.demo.run import Demo
    from services.demo.summary import show
    from services.stack import local

    settings = get_settings()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a stop is a stop, whoever asks
    try:
        finished = Demo(settings, posts=posts, preset=preset, scale=scale).run()
        if not as_json:
            show(finished, local.pages(settings))
        if leave or as_json:
            print_result(asdict(finished), as_json=as_json)
            return
        log("Everything stays up. Ctrl-C stops it.")
        wait_for_interrupt()
    finally:
        local.down(settings, log=log)


def wait_for_interrupt() -> None:
    """Return at Ctrl-C or SIGTERM."""
    try:
        while True:
            signal.pause()
    except KeyboardInterrupt:
        log("")
