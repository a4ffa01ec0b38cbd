"""The command that removes what is kept for a limited time."""

from typing import Any

import click

from covla.cli.options import TimeType, json_option
from covla.cli.output import print_result


@click.command()
@click.option("--dry-run", is_flag=True, help="Remove nothing; say what would go.")
@click.option("--as-of", type=TimeType(), help="Count ages from this time; default: now.")
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="MINUTES",
    help="For commands that work on posts now. [default: none]",
)
@json_option
def housekeeping(dry_run: bool, as_of: Any, wait: float, as_json: bool) -> None:
    """Remove what is older than its retention: images, texts, models, caches, reports.

    \b
    images   that no post of COVLA_BLOB_RETENTION_DAYS names
    texts    of posts older than COVLA_TEXT_RETENTION_DAYS, online too
    models   refused by the gate or taken back, after COVLA_MODEL_RETENTION_DAYS
    caches   not used for COVLA_CACHE_RETENTION_DAYS
    reports  older than COVLA_REPORT_RETENTION_DAYS

    Champion, challenger and previous stay, with their gate reports. It may be killed and started
    again, and ingest may run. Ends with 3 while a command such as a training works on posts.
    """
    from covla.settings import get_settings
    from services.housekeeping.run import housekeeping as run

    done = run(get_settings(), as_of=as_of, dry_run=dry_run, wait=wait * 60)
    print_result(done.as_dict(), as_json=as_json)
