"""`covla guard`."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from covla.cli.options import as_of_option, json_option
from covla.cli.output import print_result

if TYPE_CHECKING:
    from monitoring.guard.look import GuardResult


@click.command()
@as_of_option
@click.option("--dry-run", is_flag=True, help="Find, and change nothing.")
@json_option
def guard(as_of: Any, dry_run: bool, as_json: bool) -> None:
    """Hold a new champion against the version that it replaced, on live posts, and a canary and a
    shadow against the champion.

    Where it is worse, the previous version serves again, or the canary or shadow is taken off; it
    is marked rejected, and an alert opens. Looks for COVLA_GUARD_HOURS after a promotion, and as
    long as there is a canary or a shadow; run it every few minutes.
    """
    from covla.settings import get_settings
    from monitoring.guard.release import guard as look

    result = look(get_settings(), at=as_of, dry_run=dry_run)
    if as_json:
        print_result(asdict(result), as_json=True)
        return
    document = _shown(result)
    for role in ("canary", "shadow"):
        if (beside := getattr(result, role)) is not None:
            found = _shown(beside)
            signals = found.pop("signals", {})
            document |= {role: found} | ({f"{role} signals": signals} if signals else {})
    print_result(document, as_json=False)


def _shown(result: "GuardResult") -> dict[str, Any]:
    """What is known, with the signals as a table."""
    table = {one.name: {"worse": one.breach, "": one.reason} for one in result.signals}
    document = asdict(result) | {"signals": table, "canary": None, "shadow": None}
    return {name: value for name, value in document.items() if value not in (None, {}, 0)}
