"""`covla guard`."""

from dataclasses import asdict
from typing import Any

import click

from covla.cli.options import as_of_option, json_option
from covla.cli.output import print_result


@click.command()
@as_of_option
@click.option("--dry-run", is_flag=True, help="Find, and change nothing.")
@json_option
def guard(as_of: Any, dry_run: bool, as_json: bool) -> None:
    """Hold a new champion against the version that it replaced, on live posts.

    Where it is worse, the previous version serves again, the new one is marked rejected, and an
    alert opens. Looks for COVLA_GUARD_HOURS after a promotion; run it every few minutes.
    """
    from covla.settings import get_settings
    from monitoring.guard.release import guard as look

    result = look(get_settings(), at=as_of, dry_run=dry_run)
    document = asdict(result)
    if not as_json:
        table = {one.name: {"worse": one.breach, "": one.reason} for one in result.signals}
        document |= {"signals": table}
        document = {name: value for name, value in document.items() if value not in (None, {}, 0)}
    print_result(document, as_json=as_json)
