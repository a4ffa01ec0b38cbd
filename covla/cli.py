"""The `covla` command: an empty shell that finds each room's verbs by entry point."""

import json
import sys
from functools import cache
from importlib.metadata import EntryPoint, entry_points

import click

from covla import __version__
from covla.errors import CovlaError, TooFew

GROUP = "covla.commands"


@cache
def _verbs() -> dict[str, EntryPoint]:
    # Once: it reads a file of every package that is installed.
    return {point.name: point for point in entry_points(group=GROUP)}


class _Verbs(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_verbs())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        point = _verbs().get(cmd_name)
        return point.load() if point else None


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="covla")
def covla() -> None:
    """Semantic location prediction on social posts: one verb per step of the system.

    Every verb takes explicit inputs, prints its result as JSON with --json, and ends with 0 when
    it did its work, 2 for bad input, 3 for a service that does not answer, 4 when a gate or a
    check said no.
    """


def main() -> None:
    """Entry point: errors that a person can put right become one line and an exit code."""
    try:
        # Without standalone mode click gives back the code of `ctx.exit`; verbs return None.
        sys.exit(covla(standalone_mode=False))
    except click.Abort:
        click.echo("stopped", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except CovlaError as error:
        click.echo(f"covla: {error}", err=True)
        if isinstance(error, TooFew) and "--json" in sys.argv:
            click.echo(json.dumps({"skipped": str(error)}))  # what a schedule goes by
        sys.exit(error.exit_code)
    except OSError as error:
        # A full disk or a folder without write permission: no stack trace helps there.
        where = f" ({error.filename})" if error.filename else ""
        click.echo(f"covla: {error.strerror or error}{where}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
