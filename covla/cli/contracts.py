"""`covla contracts`."""

from pathlib import Path

import click

from covla.cli.options import json_option
from covla.cli.output import print_result


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path("docs/contracts"))
@json_option
def contracts(out: Path, as_json: bool) -> None:
    """Write the JSON Schemas of the wire contracts."""
    from covla.schemas.json_schema import write

    print_result({"written": [str(path) for path in write(out)]}, as_json=as_json)
