"""The command that says where a version, a post or a prediction comes from."""

from typing import Any

import click

from covla.cli.options import json_option
from covla.cli.output import print_result


@click.command()
@click.argument("ref")
@click.option(
    "--kind",
    type=click.Choice(["version", "post", "prediction"]),
    help="What REF is; default: the first of version, prediction and post that knows it.",
)
@json_option
def lineage(ref: str, kind: Any, as_json: bool) -> None:
    """Print where REF comes from, and what it went into.

    \b
    version     champion, a number or a model folder: time ranges and lake files of its training,
                whether each file is as it was then, teacher, code, gate report
    post        its rows in the lake with topic, partition and offset, labels, validation, the
                versions that trained on it, its predictions
    prediction  the version and the post
    """
    from dataclasses import asdict

    import orjson
    import yaml

    from covla.settings import get_settings
    from services.lineage.find import find

    found, document = find(ref, get_settings(), kind)
    value = {"kind": found, **asdict(document)}
    if as_json:
        print_result(value, as_json=True)
        return
    plain = orjson.loads(orjson.dumps(value))
    click.echo(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True), nl=False)
