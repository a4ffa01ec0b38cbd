"""The `covla` command: its commands by name, and errors as one line and an exit code."""

import json
import sys
from importlib import import_module

import click

from covla import __version__
from covla.errors import CovlaError, TooFew, exit_code_of, system_error

# name -> module of covla.cli and its function; imported when the command is used.
COMMANDS = {
    "alerts": "alerts:alerts",
    "backfill": "backfill:backfill",
    "bento": "bento:bento",
    "canary": "rollout:canary",
    "contracts": "contracts:contracts",
    "convert": "convert:convert",
    "demo": "demo:demo",
    "dlq": "serve:dlq",
    "down": "local:down",
    "drift": "drift:drift",
    "evaluate": "train:evaluate",
    "exec": "local:execute",
    "explain": "explain:explain",
    "export": "export:export",
    "features": "features:features",
    "guard": "guard:guard",
    "housekeeping": "housekeeping:housekeeping",
    "ingest": "features:ingest",
    "keys": "keys:keys",
    "lineage": "lineage:lineage",
    "performance": "performance:performance",
    "predict": "model:predict",
    "promote": "model:promote",
    "publish": "publish:publish",
    "rate": "rate:rate",
    "ready": "local:ready",
    "releases": "releases:releases",
    "retrain-due": "retrain:retrain_due",
    "rollback": "releases:rollback",
    "serve": "serve:serve",
    "shadow": "rollout:shadow",
    "status": "local:status",
    "stream": "serve:stream",
    "study": "study:study",
    "synthesize": "publish:synthesize",
    "teach": "train:teach",
    "train": "train:train",
    "ui": "local:ui",
    "up": "local:up",
    "validate": "features:validate",
}


class _Lazy(click.Group):
    """A group that imports a command when it is used (click's documentation, "Lazily Loading")."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command = getattr(import_module(f"covla.cli.{module}"), name)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="covla")
def covla() -> None:
    """Semantic location prediction on social posts: one command per step of the system.

    Every command takes explicit inputs, prints its result as JSON with --json, and ends with 0
    when it did its work, 2 for bad input, 3 for a service that does not answer, 4 when a gate or a
    check said no.
    """


def main() -> None:
    """Entry point: errors that a person can put right become one line and an exit code."""
    try:
        # Without standalone mode click gives back the code of `ctx.exit`; commands return None.
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
    except Exception as error:
        broken = system_error(error)
        if broken is None:
            raise
        # A full disk or a folder without write permission: no stack trace helps there.
        where = f" ({broken.filename})" if broken.filename else ""
        click.echo(f"covla: {broken.strerror or broken}{where}", err=True)
        sys.exit(exit_code_of(broken))
