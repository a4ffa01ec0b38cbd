"""Commands that serve: serve, stream, dlq."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from covla.cli.options import json_option
from covla.cli.output import log, print_result

if TYPE_CHECKING:
    from covla.settings import Settings

_model = click.option(
    "--model",
    metavar="champion|VERSION|FOLDER",
    help="Who answers. The champion is followed as it changes. Default: COVLA_MODEL, champion.",
)
_io_workers = click.option(
    "--io-workers",
    type=click.IntRange(0, 256),
    metavar="N",
    help="Processes that decode posts; 0: threads do. Default: COVLA_IO_WORKERS, or one for each "
    "core but one where there is a GPU.",
)
_wait = click.option("--wait", is_flag=True, help="Wait for a first champion; else end with 2.")


@click.command()
@_model
@_wait
@click.option("--host", help="Default: COVLA_HOST, which is 127.0.0.1 unless set.")
@click.option("--port", type=click.IntRange(0, 65_535), help="Default: COVLA_REST_PORT, 3000.")
@_io_workers
@json_option
def serve(
    model: str | None,
    wait: bool,
    host: str | None,
    port: int | None,
    io_workers: int | None,
    as_json: bool,
) -> None:
    """Serve predictions over HTTP, with a page to try them, until SIGTERM.

    The result is printed when requests are answered. SIGTERM or Ctrl-C ends it after everything
    that was accepted is answered.
    """
    from covla.settings import get_settings
    from services.rest import server
    from services.rest.keys import start_notice

    settings = _with(get_settings(), host=host or None, io_workers=io_workers)
    model = model or settings.model
    if notice := start_notice(settings):
        log(notice)

    def ready(address: str, version: str) -> None:
        print_result({"address": address, "model_version": version}, as_json=as_json)

    if wait and model == "champion":
        from services.model_provider import wait_for_champion

        wait_for_champion(settings, log)
    log(f"loading model {model}")
    server.serve(
        settings,
        model,
        host=settings.host,
        port=settings.rest_port if port is None else port,
        ready=ready,
    )
    log("stopped")


@click.command()
@_model
@_wait
@click.option("--group", default="predict", show_default=True, help="Kafka consumer group.")
@click.option("--worker", help="This worker's name in the group; default: the host's name.")
@click.option(
    "--until-idle",
    type=click.FloatRange(min=0),
    help="End when all is read and nothing came for S seconds.",
)
@click.option("--max", "limit", type=click.IntRange(min=1), help="End after N posts.")
@click.option("--metrics-port", type=click.IntRange(1, 65535), help="Serve /metrics and /readyz.")
@_io_workers
@json_option
def stream(
    model: str | None,
    wait: bool,
    group: str,
    worker: str | None,
    until_idle: float | None,
    limit: int | None,
    metrics_port: int | None,
    io_workers: int | None,
    as_json: bool,
) -> None:
    """Predict what arrives on the posts topic, until SIGTERM.

    Each post becomes one prediction or one dead letter, also when the worker is killed. Run
    several with different --worker names to share the partitions; restart one under its old name.
    SIGTERM commits the batch at hand and ends with 0; a second one ends at once, which loses
    nothing either.
    """
    from covla.settings import get_settings
    from services import stream as worker_of

    settings = _with(get_settings(), io_workers=io_workers)
    stats = worker_of.run(
        settings,
        model or settings.model,
        group=group,
        name=worker,
        until_idle=until_idle,
        limit=limit,
        metrics_port=metrics_port,
        wait=wait,
        say=log,
    )
    print_result(asdict(stats), as_json=as_json)


def _with(settings: "Settings", **options: object) -> "Settings":
    """The settings, with what a person gave as an option."""
    given = {name: value for name, value in options.items() if value is not None}
    return settings.model_copy(update=given)


@click.group()
def dlq() -> None:
    """Look at dead letters, and send them back to where they came from."""


@dlq.command("ls")
@click.option("--class", "error_class", help="Only this error class, such as not_json.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True)
@json_option
def dlq_ls(error_class: str | None, limit: int, as_json: bool) -> None:
    """List dead letters, newest first."""
    from covla.settings import get_settings
    from services import dlq as service

    found = service.entries(get_settings(), error_class=error_class)
    rows = [entry.row() for entry in found[::-1][:limit]]
    if as_json:
        print_result({"total": len(found), "dead_letters": rows}, as_json=True)
        return
    service.show_table(rows)
    log(f"{len(rows)} of {len(found)} dead letters")


@dlq.command("show")
@click.argument("entry", metavar="PARTITION:OFFSET")
@json_option
def dlq_show(entry: str, as_json: bool) -> None:
    """Show one dead letter with its original bytes; `ls` gives its id."""
    from covla.settings import get_settings
    from services import dlq as service

    print_result(service.find(get_settings(), entry).full(), as_json=as_json)


@dlq.command("replay")
@click.option("--class", "error_class", help="Only this error class, such as unreadable_image.")
@click.option("--limit", type=click.IntRange(min=1), help="At most N, oldest first.")
@click.option("--dry-run", is_flag=True, help="Say what would be sent; send nothing.")
@json_option
def dlq_replay(error_class: str | None, limit: int | None, dry_run: bool, as_json: bool) -> None:
    """Send the original bytes back to their topic, each original once, all or none.

    Run it when the cause is mended. What was replayed before is not sent again; what fails again
    becomes a new dead letter, with `replays` one higher. A letter that was too large for its value
    is not sent: its message says where the original lies.
    """
    from covla.settings import get_settings
    from services import dlq as service

    settings = get_settings()
    chosen = service.replayable(settings, error_class=error_class, limit=limit)
    if dry_run and not as_json:
        service.show_table([entry.row() for entry in chosen])
    sent = 0 if dry_run else service.replay(settings, chosen)
    print_result({"replayable": len(chosen), "replayed": sent}, as_json=as_json)
