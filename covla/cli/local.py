"""Commands for local services: up, down, exec, status, ready, ui."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from covla.cli.options import json_option
from covla.cli.output import log, print_result

if TYPE_CHECKING:
    from covla.settings import Settings
    from services.stack.local import ServiceStatus

PARTS = ("kafka", "mlflow", "evidently", "airflow")


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(PARTS))
@click.option("--airflow", is_flag=True, help="Airflow as well (30 s and 1 to 6 GB of memory).")
@click.option(
    "--like-compose",
    is_flag=True,
    help="Run docker-compose.yml instead, without a container engine, until Ctrl-C (Linux).",
)
@click.option(
    "--profile",
    "profiles",
    multiple=True,
    help="With --like-compose: airflow or monitoring; give it twice for both.",
)
@click.option("--scale", multiple=True, metavar="SERVICE=N", help="With --like-compose.")
@click.option("--free-ports", is_flag=True, help="With --like-compose: publish on free ports.")
@json_option
def up(
    parts: tuple[str, ...],
    airflow: bool,
    like_compose: bool,
    profiles: tuple[str, ...],
    scale: tuple[str, ...],
    free_ports: bool,
    as_json: bool,
) -> None:
    """Start local services: PARTS, or kafka, mlflow and evidently.

    What runs already stays as it is. Logs are in STATE/logs. Ports are COVLA_MLFLOW_PORT and so
    on; a default port that is taken gives way to the next free one.

    With --like-compose the services of docker-compose.yml of this folder run as containers do:
    with its commands, environment, order and health checks, each under its own host name.
    """
    from covla.settings import get_settings

    settings = get_settings()
    if like_compose:
        _like_compose(settings, profiles, scale, free_ports)
        return
    if profiles or scale or free_ports:
        raise click.UsageError("--profile, --scale and --free-ports go with --like-compose")
    from services.stack import local

    chosen = list(parts) or local.default_parts(settings)
    if airflow and "airflow" not in chosen:
        chosen.append("airflow")
    started = local.up(settings, chosen, log=log)
    print_result({process.name: process.address for process in started}, as_json=as_json)


def _like_compose(
    settings: "Settings", profiles: tuple[str, ...], scale: tuple[str, ...], free_ports: bool
) -> None:
    from services.compose import rehearsal

    numbers = {}
    for each in scale:
        name, _, number = each.partition("=")
        if not number.isdecimal() or int(number) < 1:
            raise click.UsageError(f"--scale: {each!r} is not SERVICE=N")
        numbers[name] = int(number)
    rehearsal.up(
        settings,
        Path(rehearsal.NAME),
        profiles=profiles,
        scale=numbers,
        free_ports=free_ports,
        log=log,
    )


@click.command("exec", context_settings={"allow_interspersed_args": False})
@click.argument("container")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_context
def execute(ctx: click.Context, container: str, command: tuple[str, ...]) -> None:
    """Run COMMAND in a container of `covla up --like-compose`; ends with its exit code."""
    from covla.settings import get_settings
    from services.compose import rehearsal

    done = rehearsal.execute(get_settings(), Path(rehearsal.NAME), container, command)
    ctx.exit(done.returncode)


@click.command()
@json_option
def down(as_json: bool) -> None:
    """Stop every local service of the state folder, whoever started it."""
    from covla.settings import get_settings
    from services.stack import local

    stopped = local.down(get_settings(), log=log)
    print_result({"stopped": stopped}, as_json=as_json)


@click.command()
@json_option
def status(as_json: bool) -> None:
    """Say what runs and whether it answers; ends with 3 when something recorded does not."""
    from covla.errors import ServiceUnavailable
    from covla.settings import get_settings
    from services.compose import rehearsal
    from services.stack import local

    statuses = local.status(get_settings()) + rehearsal.states(get_settings())
    if as_json:
        print_result({each.name: each.as_dict() for each in statuses}, as_json=True)
    elif statuses:
        print_result(
            {each.name: f"{_health(each)}  {each.address}" for each in statuses}, as_json=False
        )
    else:
        log("nothing runs; start services with `covla up`")
    if ill := [f"{each.name} is {_health(each)}" for each in statuses if not each.healthy]:
        raise ServiceUnavailable(", ".join(ill), hint="Start it again with `covla up`")


@click.command()
@click.argument("url")
@click.option("--part", help="Of a JSON answer: the field whose status must be healthy.")
@json_option
def ready(url: str, part: str | None, as_json: bool) -> None:
    """Ask the service at URL whether it is ready; ends with 3 when it is not.

    $HOSTNAME in URL is this host's name. Made for the health checks of containers.
    """
    from services.ready import ready as ask

    answer = ask(url, part)[:500]
    print_result({"ready": True, "answer": answer}, as_json=as_json)


@click.command()
@json_option
def ui(as_json: bool) -> None:
    """Print the addresses of the pages that people look at."""
    from covla.settings import get_settings
    from services.stack import local

    print_result(local.pages(get_settings()), as_json=as_json)


def _health(status: "ServiceStatus") -> str:
    if status.healthy:
        return "healthy"
    return "not answering" if status.state == "running" else status.state
