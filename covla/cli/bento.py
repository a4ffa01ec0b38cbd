"""`covla bento`."""

from dataclasses import asdict
from pathlib import Path

import click

from covla.cli.options import json_option
from covla.cli.output import log, print_result


@click.command()
@click.argument("model", required=False)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="A new folder for the Bento; default: BentoML's own store, BENTOML_HOME.",
)
@click.option(
    "--tag", metavar="[NAME:]VERSION", help="Default: covla-rest and the version of the model."
)
@json_option
def bento(model: str | None, out: Path | None, tag: str | None, as_json: bool) -> None:
    """Make a Bento of one MODEL version: its files, this code, pinned requirements.

    MODEL is champion, a version number or a model folder; default: COVLA_MODEL, champion. `bentoml
    serve` serves the Bento without a registry or network, `bentoml containerize` makes an image of
    it. A Bento whose model was changed since does not serve.
    """
    from covla.settings import get_settings
    from services.bento import build

    settings = get_settings()
    ref = model or settings.model
    log(f"making a Bento of model {ref}")
    print_result(asdict(build(settings, ref, tag=tag, out=out)), as_json=as_json)
