"""`covla convert`."""

from dataclasses import asdict
from pathlib import Path

import click

from covla.cli.options import json_option
from covla.cli.output import log, print_result


@click.command()
@click.argument("model")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="A new model folder that carries the networks; default: into this state folder's cache.",
)
@json_option
def convert(model: str, out: Path | None, as_json: bool) -> None:
    """Convert the networks of MODEL, a version or a model folder that was made without them.

    Run it where `covla[train]` is installed: what serves on a CPU has no torch to do it. With --out
    the new folder is promoted as any other, and answers as the old one; without it the servers of
    this state folder find the networks.
    """
    from covla.inference.convert import convert as run
    from covla.settings import get_settings

    log(f"converting model {model}")
    done = run(model, get_settings(), out)
    shown = {name: value for name, value in asdict(done).items() if value is not None}
    print_result(shown, as_json=as_json)
